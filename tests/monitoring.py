"""References and windows of monitoring from plain columns: numbers (NaN: missing), or texts (None:
missing)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from mlops_compile.emit.reference import levels_reference, numbers_reference
from mlops_compile.ir.reference import Calibration, ColumnReference, Reference
from mlops_compile.ir.value import Map
from mlops_compile.monitor.observed import Column, Window
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, measure
from mlops_compile.steps.metrics import USUAL
from mlops_compile.steps.monitoring import Kept

START = datetime(2026, 1, 5, tzinfo=UTC)
Values = Sequence[Any] | np.ndarray[Any, Any]


def column_reference(name: str, values: Values, kept: Kept = Kept()) -> ColumnReference:  # noqa: B008
    """Of an array of floats: numbers; of anything else: texts."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return numbers_reference(name, "numeric", values, kept)
    return levels_reference(name, "categorical", pa.array(list(values), pa.string()), kept)


def column(name: str, values: Values, wrong: int = 0) -> Column:
    """The column of a window; `wrong` of its rows had a value of another type, beside these."""
    rows = len(values) + wrong
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        missing = len(values) - len(known)
        return Column(name=name, rows=rows, missing=missing, wrong=wrong, numbers=known)
    levels = Counter(value for value in values if value is not None)
    missing = len(values) - sum(levels.values())
    return Column(name=name, rows=rows, missing=missing, wrong=wrong, levels=levels)


def reference_of(
    columns: Mapping[str, Values],
    predicted: Values = (),
    truth: Values = (),
    classes: tuple[str, ...] = (),
    segments: Mapping[str, Values] = {},
    bins: int = 20,
    kept: Kept = Kept(),  # noqa: B008
    **rest: Any,
) -> Reference:
    """A reference of columns to learn from, and of the answers and truths of test rows, which have
    `segments`: the level of each."""
    shares, true = np.asarray(predicted, "float64"), np.asarray(truth)
    task = {0: "regression", 2: "binary"}.get(len(classes), "multiclass")
    names = tuple(rest.pop("metrics", USUAL[task]))
    answers = Answers(truth=true, predicted=shares, classes=classes, decision=rest.get("threshold"))
    held = {
        name: {
            level: Map(
                {
                    "rows": int((levels == level).sum()),
                    "metrics": _measured(names, answers.take(np.flatnonzero(levels == level))),
                }
            )
            for level in sorted(set(levels))
        }
        for name, levels in ((name, np.asarray(levels)) for name, levels in segments.items())
    }
    score, told = _answers(shares, classes), _truths(true, classes)
    return Reference(
        task=task,
        target="target",
        classes=classes,
        primary=names[0],
        columns=tuple(column_reference(name, values, kept) for name, values in columns.items()),
        score=column_reference("prediction", score, kept),
        truth=column_reference("target", told, kept),
        metrics=_measured(names, answers) if len(true) else Map(),
        calibration=tuple(_bins(shares, true, len(classes), bins)) if len(true) else (),
        segments=Map({name: Map({"levels": Map(levels)}) for name, levels in held.items()}),
        **rest,
    )


def window_of(
    columns: Mapping[str, Values],
    predicted: Values = (),
    truth: Values | None = None,
    classes: tuple[str, ...] = (),
    days: float = 7,
    **rest: Any,
) -> Window:
    """A window of columns, and of the answers and truths (None: not known) of as many rows."""
    shares = np.asarray(predicted, "float64")
    unknown = np.full(len(shares), -1) if classes else np.full(len(shares), np.nan)
    true = unknown if truth is None else np.asarray(truth)
    seen = tuple(column(name, values) for name, values in columns.items())
    return Window(
        start=START,
        end=START + timedelta(days=days),
        rows=rest.pop("rows", max([len(shares), *(one.rows for one in seen)])),
        columns=rest.pop("seen", seen),
        score=column("prediction", _answers(shares, classes)),
        predicted=shares,
        truth=true.astype("int64" if classes else "float64"),
        **rest,
    )


def _measured(names: tuple[str, ...], answers: Answers) -> Map:
    return Map(measure(names, answers, MetricOptions())[0])


def _answers(shares: np.ndarray[Any, Any], classes: tuple[str, ...]) -> Values:
    if len(classes) > 2:
        return [classes[place] for place in shares.argmax(axis=1)]
    return shares[:, 1] if classes and len(shares) else shares.reshape(-1)


def _truths(truth: np.ndarray[Any, Any], classes: tuple[str, ...]) -> Values:
    return [classes[place] for place in truth.tolist()] if classes else truth.astype("float64")


def _bins(
    shares: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], classes: int, many: int
) -> list[tuple[Calibration, ...]]:
    found = []
    for place in [1] if classes == 2 else range(classes):
        order = np.argsort(shares[:, place], kind="stable")
        found.append(
            tuple(
                Calibration(
                    score=float(shares[rows, place].mean()),
                    rows=len(rows),
                    true=int((truth[rows] == place).sum()),
                )
                for rows in np.array_split(order, many)
            )
        )
    return found
