"""What the tree families share: the model as plain arrays, and its one way to be evaluated.

A model is a sum of trees. Its file holds, besides what each score starts from (`base`) and how
scores become answers (`link`), an object for each tree, of arrays over its nodes in pre-order, so
that a left child stands behind its parent:

    feature    the feature that the node looks at; -1 for a leaf
    threshold  numbers up to it go left (null: every number); of a category, the levels that do
    right      the right child; of a leaf, its number among the leaves
    flags      1: a missing value goes left; 2: the node looks at a category
    value      the leaves' values, `width` numbers a leaf

A tree of width 1 adds to one score, the tree's number modulo the scores. `known` are the levels of
a category that the training rows had; others are missing to it. Scores are sums in the order of the
trees, in numpy over rows as in Python over one row, so that evaluation and serving give equal bits.
"""

# numpy is imported inside the functions that need it: compiling reads only the declarations.

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir import trees as form
from mlops_compile.steps.families.linear import softmax

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

FILE = "trees.json"
LINKS = ("identity", "exp", "logistic", "softmax", "mean")
MISSING_LEFT, CATEGORY = form.MISSING_LEFT, form.CATEGORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree in the node order of its library: `left` and `right` are children, -1 at leaves.

    `threshold` holds a number, or the position in `sets` for a category; `values` is nodes x width.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    flags: Array
    values: Array
    sets: tuple[tuple[float, ...], ...] = ()


def encode(
    trees: Sequence[Tree],
    *,
    base: Sequence[float],
    link: str,
    known: Sequence[tuple[float, ...] | None],
) -> dict[str, bytes]:
    """The file of a model; one tree a line."""
    head = {"base": list(base), "known": [None if k is None else list(k) for k in known]}
    head |= {"link": link, "width": trees[0].values.shape[1]}
    lines = [json.dumps(_arrays(tree), allow_nan=False, separators=(",", ":")) for tree in trees]
    text = json.dumps(head, allow_nan=False)[:-1] + ', "trees": [\n' + ",\n".join(lines) + "\n]}\n"
    return {FILE: text.encode("ascii")}


def _arrays(tree: Tree) -> dict[str, list[Any]]:
    """The arrays of a tree, in pre-order."""
    import numpy as np

    order = _pre_order(tree)
    place = np.empty(len(order), dtype="int64")
    place[order] = np.arange(len(order))
    left = tree.left[order]
    inner = left >= 0
    right = np.where(inner, place[tree.right[order]], np.cumsum(~inner) - 1)
    thresholds = tree.threshold[order].tolist()
    flags = np.where(inner, tree.flags[order], 0)
    for node in np.flatnonzero(flags & CATEGORY).tolist():
        thresholds[node] = list(tree.sets[int(thresholds[node])])
    for node in np.flatnonzero(~inner).tolist():
        thresholds[node] = 0
    return {
        "feature": np.where(inner, tree.feature[order], -1).tolist(),
        "threshold": [None if value == math.inf else value for value in thresholds],
        "right": right.tolist(),
        "flags": flags.tolist(),
        "value": tree.values[order][~inner].ravel().tolist(),
    }


def _pre_order(tree: Tree) -> Array:
    import numpy as np

    nodes = np.arange(len(tree.left))
    if np.array_equal(tree.left[tree.left >= 0], nodes[tree.left >= 0] + 1):
        return nodes  # most trees are grown in this order
    left, right = tree.left.tolist(), tree.right.tolist()
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if left[node] >= 0:
            waiting += [right[node], left[node]]
    return np.array(order)


def predict(directory: Path, features: Array, classes: int) -> Array:
    """Probabilities (rows x classes), or numbers."""
    import numpy as np

    model = json.loads((directory / FILE).read_text("ascii"))
    scores = _scores(model, features)
    match model["link"]:
        case "mean":
            found: Array = scores / len(model["trees"])
        case "softmax":
            found = np.array([softmax(row) for row in scores.tolist()]).reshape(scores.shape)
        case "identity":
            found = scores
        case name:
            found = _each(_FUNCTIONS[name], scores)
    if not classes:
        return found[:, 0]
    return np.column_stack([1.0 - found, found]) if found.shape[1] == 1 else found


def _scores(model: Any, features: Array) -> Array:
    """rows x scores."""
    import numpy as np

    known = features.copy()
    for position, levels in enumerate(model["known"]):
        if levels is not None:
            known[~np.isin(features[:, position], levels), position] = np.nan
    outputs, width = len(model["base"]), model["width"]
    totals = np.tile(np.array(model["base"]), (len(features), 1))
    for number, tree in enumerate(model["trees"]):
        values = np.array(tree["value"], dtype="float64").reshape(-1, width)[_leaves(tree, known)]
        if width == 1:
            totals[:, number % outputs] += values[:, 0]
        else:
            totals += values
    return totals


def _leaves(tree: Any, features: Array) -> Array:
    """The number of the leaf that each row falls into."""
    import numpy as np

    feature, right, flags = (np.array(tree[name]) for name in ("feature", "right", "flags"))
    sets = {n: t for n, t in enumerate(tree["threshold"]) if isinstance(t, list)}
    threshold = np.array([_numeric(value) for value in tree["threshold"]])
    node = np.zeros(len(features), dtype="int64")
    rows = np.flatnonzero(feature[node] >= 0)
    while len(rows):
        at = node[rows]
        values = features[rows, feature[at]]
        left = values <= threshold[at]  # false for NaN
        for split in np.unique(at[flags[at] & CATEGORY > 0]).tolist():
            here = at == split
            left[here] = np.isin(values[here], sets[split])
        left = np.where(np.isnan(values), flags[at] & MISSING_LEFT > 0, left)
        node[rows] = np.where(left, at + 1, right[at])
        rows = rows[feature[node[rows]] >= 0]
    found: Array = right[node]
    return found


def _numeric(threshold: Any) -> float:
    if threshold is None:
        return math.inf
    return math.nan if isinstance(threshold, list) else float(threshold)


def _each(function: Callable[[float], float], scores: Array) -> Array:
    """A function of Python's floats: numpy's own exp differs from the C library's in last bits."""
    import numpy as np

    return np.array([function(score) for score in scores.ravel().tolist()]).reshape(scores.shape)


def exponential(score: float) -> float:
    """exp(score) by the C library, infinite where that is beyond every number."""
    try:
        return math.exp(score)
    except OverflowError:
        return math.inf


def logistic(score: float) -> float:
    """1 / (1 + exp(-score)), in this one form for every score, as scikit-learn's trees have it."""
    return 1.0 / (1.0 + exponential(-score))


_FUNCTIONS = {"exp": exponential, "logistic": logistic}


def read(directory: Path, classes: int) -> form.Trees:
    """The file's model as the one form of trees, from which scorers are generated."""
    model = json.loads((directory / FILE).read_text("ascii"))
    sets: dict[tuple[int, ...], int] = {}
    link, width = model["link"], model["width"]
    found = [_formed(tree, width, sets) for tree in model["trees"]]
    known = enumerate(model["known"])
    return form.Trees(
        features=len(model["known"]),
        classes=classes,
        base=tuple(model["base"]),
        width=width,
        trees=tuple(found),
        link="identity" if link == "mean" else link,
        divisor=len(found) if link == "mean" else 1,
        sets=tuple(sets),
        known=tuple((n, _whole(levels)) for n, levels in known if levels is not None),
    )


def _formed(tree: Any, width: int, sets: dict[tuple[int, ...], int]) -> form.Tree:
    """A tree whose nodes are numbered without its leaves."""
    inner = [n for n, feature in enumerate(tree["feature"]) if feature >= 0]
    place = {node: number for number, node in enumerate(inner)}
    place |= {n: ~tree["right"][n] for n, feature in enumerate(tree["feature"]) if feature < 0}
    thresholds = []
    for threshold in (tree["threshold"][node] for node in inner):
        if isinstance(threshold, list):
            levels = _whole(threshold)
            thresholds.append(float(sets.setdefault(levels, len(sets))))
        else:
            thresholds.append(_numeric(threshold))
    return form.Tree(
        feature=tuple(tree["feature"][node] for node in inner),
        threshold=tuple(thresholds),
        flags=tuple(tree["flags"][node] for node in inner),
        left=tuple(place[node + 1] for node in inner),
        right=tuple(place[tree["right"][node]] for node in inner),
        values=tuple(map(float, tree["value"])),
    )


def _whole(levels: Sequence[float]) -> tuple[int, ...]:
    """Levels as whole numbers; ValueError for one that is not."""
    found = tuple(sorted(int(level) for level in levels))
    if list(found) != sorted(levels):
        raise ValueError(f"levels that are no whole numbers: {levels}")
    return found
