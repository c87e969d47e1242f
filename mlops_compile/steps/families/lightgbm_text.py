"""LightGBM's model text as the one form of trees.

The text is read, never `dump_model`, which writes infinite thresholds as 1e300. LightGBM takes
numbers of at most ZERO from 0 as 0 before it looks at them; here that is a matter of thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.trees import (
    CATEGORY,
    MISSING_LEFT,
    ZERO,
    ZERO_MISSING,
    Terms,
    Tree,
    Trees,
    in_pre_order,
)

# The bits of LightGBM's `decision_type`; the two above them are what counts as missing.
_CATEGORY, _DEFAULT_LEFT = 1, 2
_NONE, _ZERO = range(2)
_LINKS = {
    "binary": "logistic",
    "cross_entropy": "logistic",
    "multiclass": "softmax",
    "multiclassova": "logistic",
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape"), "identity"
    ),
}


def read_text(text: str, classes: int) -> Trees:
    """The trees of a model text. StepError for an objective whose link is not known."""
    head, *blocks = text.partition("\nend of trees\n")[0].split("\nTree=")
    about = _pairs(head)
    name, _, rest = about.get("objective", "regression").partition(" ")
    options = dict(word.partition(":")[::2] for word in rest.split())
    if name not in _LINKS:
        message = f"trees of LightGBM's objective {name!r} cannot be served"
        raise StepError([problem("training", message, ("model", "params", "objective"))])
    link = _LINKS[name]
    if "sqrt" in options and link == "identity":
        link = "square"
    scores = int(about["num_tree_per_iteration"])
    sets: dict[tuple[int, ...], int] = {}
    return Trees(
        features=int(about["max_feature_idx"]) + 1,
        classes=classes,
        base=(0.0,) * scores,
        width=1,
        trees=tuple(_tree(_pairs(block), sets) for block in blocks),
        link=link,
        steepness=float(options.get("sigmoid", 1.0)),
        divisor=len(blocks) // scores if "average_output" in about else 1,
        sets=tuple(sets),
        cut=True,
    )


def _pairs(block: str) -> Mapping[str, str]:
    lines = (line.partition("=") for line in block.splitlines())
    return {name: value for name, _, value in lines}


def _tree(about: Mapping[str, str], sets: dict[tuple[int, ...], int]) -> Tree:
    values = _numbers(about, "leaf_value")
    linear = tuple(_linear(about)) if about.get("is_linear") == "1" else ()
    if len(values) == 1:
        nothing: tuple[int, ...] = ()
        return Tree(
            feature=nothing, threshold=(), flags=nothing, left=nothing, right=nothing,
            values=values, linear=linear,
        )  # fmt: skip
    rules = [
        _rule(about, threshold, decision, sets)
        for threshold, decision in zip(
            _numbers(about, "threshold"), _integers(about, "decision_type"), strict=True
        )
    ]
    tree = Tree(
        feature=_integers(about, "split_feature"),
        threshold=tuple(threshold for threshold, _ in rules),
        flags=tuple(flags for _, flags in rules),
        left=_integers(about, "left_child"),
        right=_integers(about, "right_child"),
        values=values,
        linear=linear,
    )
    return in_pre_order(tree, 1)


def _rule(
    about: Mapping[str, str], threshold: float, decision: int, sets: dict[tuple[int, ...], int]
) -> tuple[float, int]:
    """The threshold and the flags of a node."""
    if decision & _CATEGORY:
        levels = _levels(about, int(threshold))
        return float(sets.setdefault(levels, len(sets))), CATEGORY
    left, missing = bool(decision & _DEFAULT_LEFT), decision >> 2 & 3
    if missing == _NONE:  # NaN is taken as 0
        left = threshold >= 0
    if missing == _ZERO and not (threshold >= ZERO if left else threshold < -ZERO):
        return threshold, ZERO_MISSING | (MISSING_LEFT if left else 0)
    return _beyond_zero(threshold), MISSING_LEFT if left else 0


def _beyond_zero(threshold: float) -> float:
    """A threshold that sends all numbers of at most ZERO from 0 to where it sends 0."""
    if abs(threshold) > ZERO:
        return threshold
    return ZERO if threshold >= 0 else math.nextafter(-ZERO, -math.inf)


def _levels(about: Mapping[str, str], number: int) -> tuple[int, ...]:
    """The levels of a set of the tree."""
    bounds, words = _integers(about, "cat_boundaries"), _integers(about, "cat_threshold")
    found = []
    for place, word in enumerate(words[bounds[number] : bounds[number + 1]]):
        found += [32 * place + bit for bit in range(32) if word >> bit & 1]
    return tuple(found)


def _linear(about: Mapping[str, str]) -> Iterator[tuple[float, Terms]]:
    """The constant and the terms of each leaf."""
    features, factors = _integers(about, "leaf_features"), _numbers(about, "leaf_coeff")
    place = 0
    constants = _numbers(about, "leaf_const")
    for constant, count in zip(constants, _integers(about, "num_features"), strict=True):
        here = slice(place, place + count)
        yield constant, tuple(zip(features[here], factors[here], strict=True))
        place += count


def _integers(about: Mapping[str, str], name: str) -> tuple[int, ...]:
    return tuple(map(int, about[name].split()))


def _numbers(about: Mapping[str, str], name: str) -> tuple[float, ...]:
    return tuple(map(float, about[name].split()))
