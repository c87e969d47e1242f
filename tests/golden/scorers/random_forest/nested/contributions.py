"""What drives an answer: how far each feature moves the score from that of another row.

Shapley values of the game in which every feature is either the row's or the reference's; exact, tree
by tree. A path is open to both rows until they part: from there on each leaf has features that must
be the row's, and features that must be the reference's, and its value falls to these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import comb
from pathlib import Path

CATEGORY, MISSING_LEFT, ZERO_MISSING = 2, 1, 4
# Numbers of at most this from 0 may count as missing.
ZERO = 1.0000000180025095e-35


class Contributions:
    """The trees of a model, as trees.json holds them."""

    def __init__(self, directory: Path) -> None:
        model = json.loads((directory / "trees.json").read_text("ascii"))
        self._trees, self._base, self._divisor = model["trees"], model["base"], model["divisor"]
        self._sets = [frozenset(levels) for levels in model["sets"]]
        self._known = {int(name): frozenset(levels) for name, levels in model["known"].items()}

    def __call__(
        self, row: tuple[float, ...], reference: tuple[float, ...]
    ) -> list[list[float]]:
        """For each score, what each feature adds to it, and then the reference's own score; their
        sum is the row's score, but for rounding."""
        found = [[0.0] * len(row) + [start] for start in self._base]
        for number, tree in enumerate(self._trees):
            values, width = tree["values"], len(tree["values"]) // (len(tree["feature"]) + 1)
            for leaf, own, others in self._leaves(tree, row, reference):
                for output in range(width):
                    scores = found[output if width > 1 else number % len(found)]
                    share(scores, values[leaf * width + output], own, others)
        return [[value / self._divisor for value in scores] for scores in found]

    def _leaves(
        self, tree: dict[str, list], row: tuple[float, ...], reference: tuple[float, ...]
    ) -> Iterator[tuple[int, frozenset[int], frozenset[int]]]:
        """The leaves that some mixture of both rows comes to, each with the features that must be
        the row's, and those that must be the reference's."""
        nothing: frozenset[int] = frozenset()
        waiting = [(0 if tree["feature"] else ~0, nothing, nothing)]
        while waiting:
            node, own, others = waiting.pop()
            if node < 0:
                yield ~node, own, others
                continue
            feature = tree["feature"][node]
            here = self._goes_left(tree, node, row[feature])
            there = self._goes_left(tree, node, reference[feature])
            if here == there or feature in own:
                waiting.append((tree["left" if here else "right"][node], own, others))
            elif feature in others:
                waiting.append((tree["left" if there else "right"][node], own, others))
            else:
                waiting.append((tree["left" if here else "right"][node], own | {feature}, others))
                waiting.append((tree["left" if there else "right"][node], own, others | {feature}))

    def _goes_left(self, tree: dict[str, list], node: int, x: float) -> bool:
        flags, threshold = tree["flags"][node], tree["threshold"][node]
        missing = bool(flags & MISSING_LEFT)
        if flags & CATEGORY:
            level = self._level(tree["feature"][node], x)
            return missing if level < 0 else level in self._sets[int(threshold)]
        if x != x or (flags & ZERO_MISSING and -ZERO <= x <= ZERO):
            return missing
        return x <= threshold

    def _level(self, feature: int, x: float) -> int:
        """The level that a value is, -1 for none."""
        if feature in self._known:
            return int(x) if x in self._known[feature] else -1
        return int(x) if -1.0 < x < 2147483648.0 else -1


def share(
    scores: list[float], value: float, own: frozenset[int], others: frozenset[int]
) -> None:
    """Give a leaf's value to the features that lead there, and take it from those that lead away."""
    if not own:
        scores[-1] += value
    orders = comb(len(own) + len(others), len(own))
    for feature in own:
        scores[feature] += value / (len(own) * orders)
    for feature in others:
        scores[feature] -= value / (len(others) * orders)
