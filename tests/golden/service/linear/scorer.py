"""How this service answers: its preparation as straight-line code, and its model."""

from __future__ import annotations

import json
import math
from array import array
from pathlib import Path

NAN = float("nan")
CLASSES = ["no", "yes"]
FEATURES = 4
# The column that each feature is made of.
ORIGINS = ["age", "from", "job", "paid"]
LEVELS_C2_0 = {
    "cook": 0.0,
    "smith": 1.0,
}


def features(record: object) -> tuple[float, ...]:
    """The model's features of one record, in the model's order."""
    # "age"
    c0 = record.c0
    c0_0 = (c0 - 40.5) / 12.0
    # "from"
    c1 = record.c1
    c1_0 = NAN if c1 is None else float(c1.hour)
    # "job"
    c2 = record.c2
    c2_0 = LEVELS_C2_0.get(c2, NAN)
    # "paid"
    c3 = float(record.c3)
    return (
        c0_0,
        c1_0,
        c2_0,
        c3,
    )


class Scorer:
    """The model, loaded once."""

    def __init__(self, directory: Path) -> None:
        model = json.loads((directory / "linear.json").read_text("ascii"))
        self._outputs = list(zip(model["weights"], model["intercepts"]))

    def scores(self, records: list[object]) -> list[list[float]]:
        """Probabilities in the order of CLASSES, or one number, for each record."""
        return [self._score(features(record)) for record in records]

    def flat(self, taken: array, count: int) -> list[float]:
        """The answers of so many rows of features, which lie one behind the other, as they do."""
        rows = zip(*[iter(taken)] * FEATURES)
        return [value for row in rows for value in self._score(row)]

    def contributions(self, records: list[object], reference: object) -> list[list[list[float]]]:
        """For each record and score, what each feature adds to the score, and then the score of
        the reference record that they start from."""
        start = features(reference)
        return [
            [
                [(x - other) * weight for x, other, weight in zip(features(record), start, weights)]
                + [total]
                for (weights, _), total in zip(self._outputs, self._totals(start))
            ]
            for record in records
        ]

    def _totals(self, row: tuple[float, ...]) -> list[float]:
        totals = []
        for weights, total in self._outputs:
            for value, weight in zip(row, weights):
                total = total + value * weight
            totals.append(total)
        return totals

    def _score(self, row: tuple[float, ...]) -> list[float]:
        totals = self._totals(row)
        positive = sigmoid(totals[0])
        return [1.0 - positive, positive]


def sigmoid(score: float) -> float:
    """1 / (1 + exp(-score)) without overflow."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def answer(scores: list[float]) -> dict[str, object]:
    """The answer for one record: the most probable class (the first among equals), or the number."""
    best = max(range(len(scores)), key=scores.__getitem__)
    found = {"prediction": CLASSES[best], "probabilities": dict(zip(CLASSES, scores))}
    found["probability"] = scores[1]
    return found
