"""Behaviour: how two models answer the test rows that both have, by row and by segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlops_compile.ir.review import Behaviour, Segment
from mlops_compile.steps.metrics import labels_of
from mlops_compile.steps.segments import segments_of
from mlops_compile.steps.tables import read_table, schema_of

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_MOST_SEGMENTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The files of one model: its predictions for the test rows and the validated table, with that
    one's digest; the rows that it was trained on; `columns` are those that the service asks for."""

    predictions: Path
    table: Path
    digest: str
    train: Path
    columns: tuple[str, ...]


def behaviour(
    old: Answered,
    new: Answered,
    *,
    regression: bool,
    segments: Sequence[str] = (),
    sensitive: frozenset[str] = frozenset(),
) -> Behaviour | None:
    """How answers differ; None where no test row is in both. Rows of one table are the same by
    their number; of two tables, by what they hold."""
    before, after = read_table(old.predictions), read_table(new.predictions)
    left, right = _matched(old, new, before, after)
    if not len(left):
        return None
    was, now = _scores(before)[left], _scores(after)[right]
    if regression:
        differs = was[:, 0] != now[:, 0]
    else:
        differs = _labels(before, was, left) != _labels(after, now, right)
    return Behaviour(
        rows=len(left),
        changed=int(differs.sum()),
        shift=float(np.abs(was - now).mean()),
        segments=_by_segment(new, after, right, differs, segments, sensitive),
        only_old=before.num_rows - len(left),
        only_new=after.num_rows - len(right),
    )


def _matched(
    old: Answered, new: Answered, before: pa.Table, after: pa.Table
) -> tuple[Array, Array]:
    """The places of the rows that both predictions have, pair by pair."""
    if old.digest == new.digest:
        rows = before.column("row").to_numpy(), after.column("row").to_numpy()
        _, left, right = np.intersect1d(*rows, assume_unique=True, return_indices=True)
        return left, right
    there = [{*schema_of(one.table).names} for one in (old, new)]
    names = [name for name in new.columns if name in there[0] & there[1]]
    places = [_contents(one, found, names) for one, found in ((old, before), (new, after))]
    pairs = [(place, places[1][key]) for key, place in places[0].items() if key in places[1]]
    found = np.array(pairs, dtype="int64").reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _contents(one: Answered, predictions: pa.Table, names: Sequence[str]) -> dict[Any, int]:
    """Place by what a test row holds; equal rows are told apart by their order."""
    table = read_table(one.table).select(names).take(predictions.column("row"))
    seen: dict[Any, int] = {}
    found: dict[Any, int] = {}
    columns = [table.column(name).to_pylist() for name in names]
    for place, row in enumerate(zip(*columns, strict=True)):
        count = seen[row] = seen.get(row, 0) + 1
        found[(row, count)] = place
    return found


def _scores(predictions: pa.Table) -> Array:
    names = [n for n in predictions.column_names if n not in ("row", "truth", "decision")]
    return np.column_stack([predictions.column(name).to_numpy() for name in names])


def _labels(predictions: pa.Table, scores: Array, rows: Array) -> Array:
    """The class that is answered for some rows, by number."""
    if "decision" in predictions.column_names:
        decided: Array = predictions.column("decision").to_numpy()[rows]
        return decided
    return labels_of(scores, None)


def _by_segment(
    new: Answered,
    predictions: pa.Table,
    rows: Array,
    differs: Array,
    columns: Sequence[str],
    sensitive: frozenset[str],
) -> tuple[Segment, ...]:
    """The levels of which most rows differ, by their share."""
    table, train = read_table(new.table), np.load(new.train, allow_pickle=False)
    part = predictions.column("row").to_numpy()[rows]
    found = []
    for column in columns:
        if column in table.column_names:
            for segment in segments_of(table, column, column in sensitive, train, part):
                changed = int(differs[segment.rows].sum())
                level = Segment(
                    column=column, level=segment.level, rows=len(segment.rows), changed=changed
                )
                found.append(level)
    found.sort(key=lambda level: (-level.changed / level.rows, level.column, level.level))
    return tuple(level for level in found[:_MOST_SEGMENTS] if level.changed)
