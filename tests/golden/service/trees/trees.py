"""The model's trees in Python: they answer where there is no C compiler, in the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

INF = float("inf")
# Numbers of at most this from 0 may count as missing.
ZERO = 1.0000000180025095e-35
SET_0 = frozenset([1])


def load(directory: Path) -> Callable[[tuple[float, ...]], list[float]]:
    """The function from a row of features to the answers: probabilities in the order of the
    classes, or one number."""
    return score


def score(row: tuple[float, ...]) -> list[float]:
    """The answers for a row."""
    k2 = code_2(row[2])
    s0 = 0.0
    s0 = trees_0(row, k2, s0)
    return answers([s0])


def code_2(x: float) -> int:
    """The level that a value is, -1 for none: its fraction is cut off."""
    return int(x) if -1.0 < x < 2147483648.0 else -1


def answers(scores: list[float]) -> list[float]:
    """The answers that scores mean."""
    scores = [1.0 / (1.0 + exponential(-score)) for score in scores]
    return [1.0 - scores[0], scores[0]]


def exponential(x: float) -> float:
    """exp(x), infinite where that is beyond every number."""
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def trees_0(row, k2, s0):
    x0, x1, x2, x3 = row
    if not x0 > 0.5:
        if k2 in SET_0:
            s0 += 0.25
        else:
            s0 += -1.5
    else:
        s0 += 3.0
    return s0
