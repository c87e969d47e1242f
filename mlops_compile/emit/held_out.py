"""The held-out rows as requests, and what the evaluated model answered to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlops_compile.steps.tables import read_table

_NOT_SCORES = ("row", "truth", "decision")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Rows with their places in the validated table, from 0: each as a request, with its scores
    (probabilities in the order of the classes, or one number) and the class to answer (None in a
    regression). `hidden`: a column is sensitive, so that no value may be told."""

    places: Sequence[int]
    requests: Sequence[dict[str, Any]]
    scores: Sequence[list[float]]
    labels: Sequence[str | None]
    hidden: bool


def held_out(
    table: Path, predictions: Path, names: Sequence[str], classes: Sequence[str], most: int
) -> HeldOut:
    """The rows of evaluated predictions: all up to `most`, beyond that so many, evenly spaced.
    `names` are the fields of a request."""
    expected = read_table(predictions)
    taken = np.unique(np.linspace(0, expected.num_rows - 1, most).astype("int64"))
    expected = expected.take(taken)
    outputs = [name for name in expected.column_names if name not in _NOT_SCORES]
    scores = np.column_stack([expected.column(name) for name in outputs]).tolist()
    validated = read_table(table)
    rows = validated.select(names).take(expected.column("row")).to_pylist()
    return HeldOut(
        places=expected.column("row").to_pylist(),
        requests=[request_of(row) for row in rows],
        scores=scores,
        labels=_labels(classes, expected, scores),
        hidden=any(b"sensitive" in (field.metadata or {}) for field in validated.schema),
    )


def _labels(
    classes: Sequence[str], expected: pa.Table, scores: list[list[float]]
) -> list[str | None]:
    """The class to answer for each row: what was decided, else the most probable one."""
    if not classes:
        return [None] * len(scores)
    if "decision" in expected.column_names:
        return [classes[code] for code in expected.column("decision").to_pylist()]
    return [classes[max(range(len(row)), key=row.__getitem__)] for row in scores]


def request_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a client would send it: missing values left out, times as ISO 8601."""
    sent = {name: value for name, value in row.items() if value is not None}
    for name, value in sent.items():
        if hasattr(value, "isoformat"):
            sent[name] = value.isoformat()
    return {n: v for n, v in sent.items() if not (isinstance(v, float) and math.isnan(v))}
