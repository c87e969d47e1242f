"""Behaviour: how two models answer the test rows that both have, by row and by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    one's digest; the rows that it was trained on; `columns` are those that tell what a row is."""

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
    segments: Mapping[str, int],
    sensitive: frozenset[str] = frozenset(),
) -> Behaviour | None:
    """How answers differ; None where no test row is in both. Rows of one table are the same by
    their number; of two tables, by what they hold. `segments` are columns, each with the fewest
    rows that a level of it is told by."""
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
        regression=regression,
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
    there = [
        {field.name: _read_as(field.type) for field in schema_of(one.table)} for one in (old, new)
    ]
    both = there[0].keys() & there[1].keys()
    names = [name for name in new.columns if name in both and there[0][name] == there[1][name]]
    if not names:
        return np.empty(0, dtype="int64"), np.empty(0, dtype="int64")
    places = [_contents(one, found, names) for one, found in ((old, before), (new, after))]
    pairs = [(place, places[1][key]) for key, place in places[0].items() if key in places[1]]
    found = np.array(pairs, dtype="int64").reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _read_as(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, however they are held."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _contents(one: Answered, predictions: pa.Table, names: Sequence[str]) -> dict[Any, int]:
    """Place by what a test row holds; equal rows are told apart by their order."""
    table = read_table(one.table).select(names).take(predictions.column("row"))
    seen: dict[Any, int] = {}
    found: dict[Any, int] = {}
    columns = [_plain(table.column(name)).to_pylist() for name in names]
    for place, row in enumerate(zip(*columns, strict=True)):
        count = seen[row] = seen.get(row, 0) + 1
        found[(row, count)] = place
    return found


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in which what is no number is missing, and so the same as another of its kind."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), None, column)


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
    columns: Mapping[str, int],
    sensitive: frozenset[str],
) -> tuple[Segment, ...]:
    """The levels of which most rows differ, by their share; a dozen at most."""
    table, train = read_table(new.table), np.load(new.train, allow_pickle=False)
    part = predictions.column("row").to_numpy()[rows]
    found = []
    for column, least in columns.items():
        if column in table.column_names:
            for segment in segments_of(table, column, column in sensitive, train, part):
                if len(segment.rows) < least:
                    continue
                changed = int(differs[segment.rows].sum())
                level = Segment(
                    column=column, level=segment.level, rows=len(segment.rows), changed=changed
                )
                found.append(level)
    found.sort(key=lambda level: (-level.changed / level.rows, level.column, level.level))
    return tuple(level for level in found[:_MOST_SEGMENTS] if level.changed)
