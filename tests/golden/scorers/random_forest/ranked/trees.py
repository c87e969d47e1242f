"""The model's trees in Python: they answer where there is no C compiler, in the same bits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

INF = float("inf")
# Numbers of at most this from 0 may count as missing.
ZERO = 1.0000000180025095e-35
SETS = [
]


def load(directory: Path) -> Callable[[tuple[float, ...]], list[float]]:
    """The function from a row of features to the answers: probabilities in the order of the
    classes, or one number."""
    trees = json.loads((directory / "trees.json").read_text("ascii"))["trees"]
    return lambda row: score(row, trees)


def score(row: tuple[float, ...], trees: list[dict[str, list]]) -> list[float]:
    """The answers for a row."""
    codes = {
    }
    found = [0.0, 0.0, 0.0]
    for number, tree in enumerate(trees):
        leaf = walk(row, codes, tree) if tree["feature"] else 0
        for output in range(3):
            found[output] += tree["values"][leaf * 3 + output]
    return answers(found)


def walk(row: tuple[float, ...], codes: dict[int, int], tree: dict[str, list]) -> int:
    """The leaf that a row falls into. Flags of a node: 1: what is missing goes left; 2: a set of
    levels goes left; 4: numbers near 0 are missing."""
    feature, threshold, flags = tree["feature"], tree["threshold"], tree["flags"]
    left, right = tree["left"], tree["right"]
    node = 0
    while node >= 0:
        flag = flags[node]
        if flag & 2:
            code = codes[feature[node]]
            goes = flag & 1 if code < 0 else code in SETS[int(threshold[node])]
        else:
            x = row[feature[node]]
            if x != x or (flag & 4 and -ZERO <= x <= ZERO):
                goes = flag & 1
            else:
                goes = x <= threshold[node]
        node = left[node] if goes else right[node]
    return ~node


def answers(scores: list[float]) -> list[float]:
    """The answers that scores mean."""
    scores = [score / 3 for score in scores]
    return scores
