"""One form of a model of trees, whatever grew them; scorers are generated from it.

A score is a start value plus a leaf of each tree, added in the order of the trees, in doubles. A
node of numbers sends x to the left where x <= threshold; every rule of a library about numbers near
zero or of less precision is a matter of that threshold. A node of a category sends the levels of a
set to the left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

# What a node does with other values: flags.
MISSING_LEFT = 1  # what is missing goes left, else right
CATEGORY = 2  # `threshold` is the position of a set of levels
ZERO_MISSING = 4  # numbers of at most ZERO from 0 are missing
ZERO = 1.0000000180025095e-35  # 1e-35 as a float of 32 bits
LINKS = ("identity", "exp", "logistic", "softmax", "square")
MOST_LEVELS = 1 << 24

Terms = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree: arrays over its inner nodes in pre-order, and over its leaves from left to right.

    `left` and `right` are inner nodes, or `~leaf`; `values` holds as many numbers a leaf as the
    model is wide. A leaf with terms (`linear`: constant, and factor by feature) is their sum, in
    order; where one of the features is NaN, its plain value.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    flags: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    values: tuple[float, ...]
    linear: tuple[tuple[float, Terms], ...] = ()

    def depth(self) -> int:
        """The most nodes between root and leaf."""
        deep = [0] * (len(self.feature) + 1)
        deepest = 0
        for node, children in enumerate(zip(self.left, self.right, strict=True)):
            deepest = max(deepest, deep[node] + 1)
            for child in children:
                if child >= 0:
                    deep[child] = deep[node] + 1
        return deepest


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """A model of trees over `features` doubles a row.

    `base` are the start values, one a score. A tree of width 1 adds to one score, its number modulo
    the scores; a wider one to all. Scores are divided by `divisor`, then the link makes answers of
    them: the logistic is 1 / (1 + exp(-steepness * score)); square keeps the sign. With one answer
    and two `classes`, the other is 1 minus it; a regression has 0.

    The levels of a category are whole numbers. `cut` says what becomes of a value: its fraction is
    cut off, and what is no level is a level that no set has; or else, where `known` names the
    levels of a feature, any other value is missing.
    """

    features: int
    classes: int
    base: tuple[float, ...]
    width: int
    trees: tuple[Tree, ...]
    link: str
    steepness: float = 1.0
    divisor: int = 1
    sets: tuple[tuple[int, ...], ...] = ()
    known: tuple[tuple[int, tuple[int, ...]], ...] = ()
    cut: bool = False

    def __post_init__(self) -> None:
        if found := next(violations(self), ""):
            raise ValueError(found)

    @property
    def outputs(self) -> int:
        """The answers of a row."""
        return max(1, self.classes)

    @property
    def leaves(self) -> int:
        """The leaves of all trees."""
        return sum(len(tree.values) for tree in self.trees) // self.width

    @property
    def linear(self) -> bool:
        """Whether leaves are sums of features."""
        return any(tree.linear for tree in self.trees)

    def categories(self) -> tuple[int, ...]:
        """The features that some node takes as a category."""
        return tuple(
            sorted(
                {
                    feature
                    for tree in self.trees
                    for feature, flags in zip(tree.feature, tree.flags, strict=False)
                    if flags & CATEGORY
                }
            )
        )


def violations(model: Trees) -> Iterator[str]:
    """What is wrong with a model, in sentences."""
    scores = len(model.base)
    if not model.features or not model.trees or model.width not in (1, scores):
        yield f"{len(model.trees)} trees of width {model.width} for {scores} scores"
        return
    if model.link not in LINKS:
        yield f"{model.link!r} is no link; one of {', '.join(LINKS)}"
    if scores != model.outputs and (scores, model.classes) != (1, 2):
        yield f"{scores} scores for {model.classes} classes"
    if model.divisor < 1 or not math.isfinite(model.steepness):
        yield f"a divisor of {model.divisor} and a steepness of {model.steepness}"
    levels = (*model.sets, *(levels for _, levels in model.known))
    for found in levels:
        if any(not 0 <= level < MOST_LEVELS for level in found) or list(found) != sorted({*found}):
            yield "levels are different whole numbers from 0, in order"
    categories = {*model.categories()}
    if not model.cut and categories - {feature for feature, _ in model.known}:
        yield "a category without known levels"
    if model.cut and model.known:
        yield "a category whose values are cut has no known levels"
    for number, tree in enumerate(model.trees):
        for text in _of_tree(model, tree, categories):
            yield f"tree {number}: {text}"


def _of_tree(model: Trees, tree: Tree, categories: set[int]) -> Iterator[str]:
    nodes, leaves = len(tree.feature), len(tree.values) // model.width
    arrays = (tree.threshold, tree.flags, tree.left, tree.right)
    if any(len(array) != nodes for array in arrays) or len(tree.values) % model.width:
        yield "arrays of different lengths"
        return
    if list(_pre_order(tree)) != [*range(nodes), *range(leaves)]:
        yield "not a tree in pre-order"
    if tree.linear and (len(tree.linear) != leaves or model.width > 1):
        yield f"{len(tree.linear)} linear leaves of {leaves}"
    for feature, threshold, flags in zip(tree.feature, tree.threshold, tree.flags, strict=True):
        if not 0 <= feature < model.features:
            yield f"feature {feature} of {model.features}"
        if bool(flags & CATEGORY) != (feature in categories):
            yield f"feature {feature} is a number and a category"
        if flags & CATEGORY and int(threshold) not in range(len(model.sets)):
            yield f"set {threshold} of {len(model.sets)}"
        if threshold != threshold:
            yield "a threshold that is no number"
    used = {feature for _, terms in tree.linear for feature, _ in terms}
    if used - {*range(model.features)}:
        yield "a linear leaf of a feature that is not there"


def _pre_order(tree: Tree) -> Iterator[int]:
    """The inner nodes as a walk meets them, then the leaves."""
    waiting, leaves, steps = [0 if tree.feature else ~0], [], 0
    while waiting and steps <= 2 * len(tree.feature) + 1:
        node = waiting.pop()
        steps += 1
        if node < 0:
            leaves.append(~node)
            continue
        if node >= len(tree.feature):
            return
        yield node
        waiting += [tree.right[node], tree.left[node]]
    yield from leaves


def in_pre_order(tree: Tree, width: int) -> Tree:
    """The same tree with its nodes and leaves numbered as a walk meets them."""
    nodes: list[int] = []
    leaves: list[int] = []
    waiting = [0 if tree.feature else ~0]
    while waiting:
        node = waiting.pop()
        if node < 0:
            leaves.append(~node)
            continue
        nodes.append(node)
        waiting += [tree.right[node], tree.left[node]]
    place = {node: number for number, node in enumerate(nodes)}
    place |= {~leaf: ~number for number, leaf in enumerate(leaves)}
    return Tree(
        feature=tuple(tree.feature[node] for node in nodes),
        threshold=tuple(tree.threshold[node] for node in nodes),
        flags=tuple(tree.flags[node] for node in nodes),
        left=tuple(place[tree.left[node]] for node in nodes),
        right=tuple(place[tree.right[node]] for node in nodes),
        values=tuple(x for leaf in leaves for x in tree.values[leaf * width :][:width]),
        linear=tuple(tree.linear[leaf] for leaf in leaves) if tree.linear else (),
    )
