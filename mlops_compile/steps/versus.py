"""Versus: what two models are worth on the same rows, and how surely one is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.value import Map
from mlops_compile.steps.evaluation import Bootstrap, MetricOptions
from mlops_compile.steps.intervals import intervals
from mlops_compile.steps.measure import Answers, measure
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A metric of both on so many rows, and the interval of its difference, new less old, at a
    level; None where too few resamples have one. `better` and `worse` say that the whole interval
    is on one side."""

    metric: str
    rows: int
    old: float
    new: float
    level: float
    low: float | None
    high: float | None

    @property
    def better(self) -> bool:
        """Whether the new one is surely better."""
        end = self.low if METRICS[self.metric].greater_is_better else self.high
        return end is not None and (end > 0) == METRICS[self.metric].greater_is_better and end != 0

    @property
    def worse(self) -> bool:
        """Whether the new one is surely worse."""
        end = self.high if METRICS[self.metric].greater_is_better else self.low
        return end is not None and (end < 0) == METRICS[self.metric].greater_is_better and end != 0

    def to_dict(self) -> Map:
        names = ("metric", "rows", "old", "new", "level", "low", "high")
        return Map({name: getattr(self, name) for name in names})


def versus(
    metric: str, old: Answers, new: Answers, *, level: float, options: MetricOptions, seed: int = 0
) -> Verdict:
    """Compare the answers of two models for the same rows by the paired bootstrap. ValueError where
    the metric has no meaning for them."""
    found = []
    for one in (old, new):
        values, missing = measure((metric,), one, options)
        if missing:
            raise ValueError(f"{metric} cannot be computed: {missing[metric]}")
        found.append(values[metric])
    rows = len(new.truth)
    asked = Bootstrap(resamples=_RESAMPLES, level=level, most_rows=rows)
    _, differences, _ = intervals((metric,), new, old, asked, options, seed)
    interval: Any = differences.get(metric, Map({"low": None, "high": None}))
    before, after = found
    assert isinstance(before, float) and isinstance(after, float)
    return Verdict(
        metric=metric,
        rows=rows,
        old=before,
        new=after,
        level=level,
        low=interval["low"],
        high=interval["high"],
    )


def answers_in(predictions: Path, classes: tuple[str, ...], threshold: float | None) -> Answers:
    """The answers that a model's evaluation kept for its test rows."""
    table = read_table(predictions)
    return Answers(
        truth=table.column("truth").to_numpy(),
        predicted=scores_in(predictions),
        classes=classes,
        decision=threshold,
    )


def same_rows(one: Path, other: Path) -> bool:
    """Whether two predictions are of the same rows of their table, in the same order."""
    return bool(read_table(one).column("row").equals(read_table(other).column("row")))


def rows_in(predictions: Path) -> Array:
    """The numbers of the test rows in the validated table."""
    found: Array = read_table(predictions).column("row").to_numpy()
    return found


def unseen(
    table: Path, rows: Array, theirs: Path, parts: Sequence[Path], columns: Sequence[str]
) -> Array:
    """The places among some rows of a table of those that another model did not learn from: by
    number where the table is the same, else by what they hold in `columns` of both. `parts` are the
    files of its rows."""
    learned = np.concatenate([np.load(part, allow_pickle=False) for part in parts])
    if table == theirs:
        return np.flatnonzero(~np.isin(rows, learned))
    held, known = read_table(table), read_table(theirs)
    names = [n for n in columns if n in held.column_names and n in known.column_names]
    seen = {*contents(known.select(names).take(learned))}
    fresh = (row not in seen for row in contents(held.select(names).take(rows)))
    return np.flatnonzero(np.fromiter(fresh, dtype=bool, count=len(rows)))


def contents(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """What each row holds; what is no number is missing, and so the same as another of its kind."""
    columns = []
    for column in table.columns:
        plain = column.combine_chunks()
        if pa.types.is_dictionary(plain.type):
            plain = plain.dictionary_decode()
        if pa.types.is_floating(plain.type):
            plain = pc.if_else(pc.is_nan(plain), None, plain)
        columns.append(plain.to_pylist())
    return zip(*columns, strict=True)


def scores_in(predictions: Path) -> Array:
    """Probabilities (rows x classes), or numbers."""
    table = read_table(predictions)
    names = [n for n in table.column_names if n not in ("row", "truth", "decision")]
    columns = [table.column(name).to_numpy() for name in names]
    return np.column_stack(columns) if len(columns) > 1 else columns[0]
