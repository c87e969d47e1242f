"""A large model as arrays of nodes that all ask one thing: is the rank of a view at most a number?

A view is a feature with one rule of what is missing and where that goes, and the thresholds of the
nodes with this rule; the rank of a value is how many of them lie below it, so x <= threshold is
rank <= position. What is missing has rank 0 where it goes left, else one beyond all. A view of a
category is its set: rank 0 for its levels, 1 for others. Slots number the inner nodes of a tree in
pre-order and then its leaves.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from mlops_compile.emit.scorers.literals import array
from mlops_compile.ir.trees import CATEGORY, MISSING_LEFT, Tree, Trees

# Trees of more leaves are walked row by row, though there be many rows: a block of rows visits all
# nodes of a tree.
_MOST_IN_BLOCKS = 512
# How many numbers a byte holds, and two.
_HELD = (1 << 8, 1 << 16)
Key = tuple[int, int, int]  # feature, flags, set


def bits(levels: tuple[int, ...]) -> list[int]:
    """Levels as words of 32 bits."""
    words = [0] * (levels[-1] // 32 + 1 if levels else 1)
    for level in levels:
        words[level // 32] |= 1 << level % 32
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The arrays as C, and what else the code must know: the types of ranks and of nodes, the
    number of views, the most leaves of a tree, and whether rows go in blocks."""

    arrays: str
    cell: str
    word: str
    views: int
    most_leaves: int
    blocks: bool


@dataclass(slots=True)
class _Arrays:
    """The columns of the arrays while they grow."""

    views: list[int] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def ranked(model: Trees) -> Ranked:
    """The arrays of a model."""
    keys = _keys(model)
    made = _Arrays()
    codes = {feature: place for place, feature in enumerate(model.categories())}
    for key, thresholds in keys.items():
        _add_view(made, model, codes, key, thresholds)
    if not keys:
        made.views += [0, 0, 0, 1, 0]
    number = {key: position for position, key in enumerate(keys)}
    most = max(len(tree.values) // model.width for tree in model.trees)
    highest = max((len(thresholds) for thresholds in keys.values()), default=1)
    bytes_hold, words_hold = _HELD
    word = "uint16_t" if max(2 * most, len(keys), highest) < words_hold else "uint32_t"
    cell = "uint8_t" if max(most - 1, highest) < bytes_hold else word
    nodes: list[int] = []
    values: list[float] = []
    first_node, first_leaf = [0], [0]
    for tree in model.trees:
        nodes += _nodes(tree, keys, number)
        values += tree.values
        first_node.append(len(nodes) // 4)
        first_leaf.append(len(values) // model.width)
    nodes += [0, 0, 0, 0]  # what a tree of one leaf at the end looks at
    arrays = (
        array("VIEWS", "uint32_t", made.views),
        array("LIMITS", "double", made.limits),
        array("SETS", "uint32_t", made.words),
        array("NODES", word, nodes),
        array("FIRST_NODE", "uint32_t", first_node),
        array("FIRST_LEAF", "uint32_t", first_leaf),
        array("VALUES", "double", values),
    )
    return Ranked(
        arrays="".join(arrays),
        cell=cell,
        word=word,
        views=max(1, len(keys)),
        most_leaves=most,
        blocks=most <= _MOST_IN_BLOCKS,
    )


def _key(tree: Tree, node: int) -> Key:
    flags = tree.flags[node]
    return tree.feature[node], flags, int(tree.threshold[node]) if flags & CATEGORY else -1


def _keys(model: Trees) -> dict[Key, list[float]]:
    """The views in order, each with its thresholds in order."""
    found: dict[Key, set[float]] = {}
    for tree in model.trees:
        for node, threshold in enumerate(tree.threshold):
            key = _key(tree, node)
            found.setdefault(key, set()).add(0.0 if key[1] & CATEGORY else threshold)
    return {key: sorted(found[key]) for key in sorted(found)}


def _add_view(
    made: _Arrays, model: Trees, codes: dict[int, int], key: Key, thresholds: list[float]
) -> None:
    """Five numbers a view: its feature, or that of the codes; its flags; where its limits or words
    begin, and how many there are; and nothing, or the rank of what is missing."""
    feature, flags, levels = key
    if flags & CATEGORY:
        words = bits(model.sets[levels])
        missing = 0 if flags & MISSING_LEFT else 1
        made.views += [codes[feature], flags, len(made.words), len(words), missing]
        made.words += words
    else:
        missing = 0 if flags & MISSING_LEFT else len(thresholds)
        made.views += [feature, flags, len(made.limits), len(thresholds), missing]
        made.limits += thresholds


def _nodes(tree: Tree, keys: dict[Key, list[float]], number: dict[Key, int]) -> list[int]:
    """Four numbers a node: its view, the greatest rank that goes left, and the slots of its
    children."""
    inner = len(tree.feature)
    found: list[int] = []
    for node, threshold in enumerate(tree.threshold):
        key = _key(tree, node)
        place = 0 if key[1] & CATEGORY else bisect_left(keys[key], threshold)
        children = (tree.left[node], tree.right[node])
        slots = (child if child >= 0 else inner + ~child for child in children)
        found += [number[key], place, *slots]
    return found
