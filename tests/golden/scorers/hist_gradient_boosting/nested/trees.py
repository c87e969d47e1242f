"""The model's trees in Python: they answer where there is no C compiler, in the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

INF = float("inf")
# Numbers of at most this from 0 may count as missing.
ZERO = 1.0000000180025095e-35
SET_0 = frozenset([1, 2])
KNOWN_1 = frozenset([0, 1, 2, 5])


def load(directory: Path) -> Callable[[tuple[float, ...]], list[float]]:
    """The function from a row of features to the answers: probabilities in the order of the
    classes, or one number."""
    return score


def score(row: tuple[float, ...]) -> list[float]:
    """The answers for a row."""
    k1 = code_1(row[1])
    s0 = -0.75
    s0 = trees_0(row, k1, s0)
    return answers([s0])


def code_1(x: float) -> int:
    """The level that a value is, -1 for none."""
    return int(x) if x in KNOWN_1 else -1


def answers(scores: list[float]) -> list[float]:
    """The answers that scores mean."""
    scores = [exponential(score) for score in scores]
    return scores


def exponential(x: float) -> float:
    """exp(x), infinite where that is beyond every number."""
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def trees_0(row, k1, s0):
    x0, x1 = row
    if not x0 > 0.1:
        if k1 in SET_0:
            s0 += 0.25
        else:
            s0 += -0.1
    else:
        s0 += 3.0
    if x0 <= INF:
        if k1 < 0 or k1 in SET_0:
            s0 += 0.25
        else:
            s0 += -0.1
    else:
        s0 += 3.0
    return s0
