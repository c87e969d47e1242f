"""Windows: the lines of one model that were answered between two moments, as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.reference import ColumnReference, Reference
from mlops_compile.ir.value import Map
from mlops_compile.monitor.feedback import Feedback, empty_table, read_feedback, unknown_ids
from mlops_compile.monitor.log import TIME, WRONG, Counts, Log, predictions_schema
from mlops_compile.monitor.observed import Column, Window
from mlops_compile.steps.metrics import labels_of
from mlops_compile.steps.segments import MISSING

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """The lines of one model in a window (`table`: id, time, seconds, record, answer; one for each
    id, the last), what was met on the way, and how late the feedback on them is."""

    table: pa.Table
    counts: Counts
    others: int  # lines of other models in the window
    repeated: int  # lines whose id a later one has
    ids: pa.Array  # of all lines that were read
    seen: frozenset[str]  # files that were read

    def to_dict(self) -> Map:
        return Map(
            {
                "lines": self.table.num_rows,
                "broken": self.counts.broken,
                "other_models": self.others,
                "repeated": self.repeated,
            }
        )


def read_lines(
    log: Log, reference: Reference, models: frozenset[str], start: datetime, end: datetime
) -> Lines:
    """The lines of models (their digests) from `start` to before `end`."""
    schema, counts = predictions_schema(reference), Counts()
    read = [
        file
        for file in log.files("predictions")
        if not (file.start and file.start >= end) and not (file.written and file.written < start)
    ]
    found: list[pa.Table] = []
    ids: list[pa.Array] = []
    others = 0
    wanted = pa.array(sorted(models), pa.string())
    low, high = pa.scalar(start, TIME), pa.scalar(end, TIME)

    def own(table: pa.Table) -> tuple[pa.Array, int, pa.Table]:
        """Ids of all lines, lines of other models in the window, and those of these models."""
        times = table["time"]
        inside = _where(table, pc.and_(pc.greater_equal(times, low), pc.less(times, high)))
        kept = _where(inside, pc.is_in(inside["model"], wanted))
        packed = _packed(kept.drop_columns(["model"]))
        return table["id"].combine_chunks(), inside.num_rows - kept.num_rows, packed

    for file in read:
        for names, more, table in log.each(file, schema, counts, own):
            ids.append(names)
            others += more
            found.append(table)
    table = pa.concat_tables(found) if found else _packed(empty_table(schema.append(WRONG)))
    table = table.unify_dictionaries().combine_chunks()
    order = np.argsort(table["time"].cast(pa.int64()).to_numpy(), kind="stable")
    whole = table.num_rows
    places = order[_last(table["id"], order)]
    if not np.array_equal(places, np.arange(whole)):
        table = table.take(pa.array(places))
    return Lines(
        table=table,
        counts=counts,
        others=others,
        repeated=whole - table.num_rows,
        ids=pa.chunked_array(ids, pa.string()).combine_chunks(),
        seen=frozenset(file.path for file in read),
    )


def _where(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    return table if pc.all(mask).as_py() else table.filter(mask)


def _packed(table: pa.Table) -> pa.Table:
    """Records and answers as columns `record.NAME` and `answer.NAME`, texts by dictionaries."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        if name not in ("record", "answer"):
            columns[name] = table[name]
            continue
        for field in table.schema.field(name).type:
            values = pc.struct_field(table[name], field.name)
            if pa.types.is_string(field.type):
                values = values.combine_chunks().dictionary_encode()
            columns[f"{name}.{field.name}"] = values
    return pa.table(columns)


def _last(ids: pa.ChunkedArray, order: Array) -> Array:
    """Which of the rows, in this order, no later one has the id of."""
    encoded = ids.combine_chunks().dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return np.ones(len(ids), dtype=bool)
    codes = encoded.indices.to_numpy(zero_copy_only=False)[order]
    keep = np.zeros(len(codes), dtype=bool)
    _, places = np.unique(codes[::-1], return_index=True)
    keep[len(codes) - 1 - places] = True
    return keep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A window, and what its lines and the feedback were."""

    window: Window
    lines: Lines
    feedback: Feedback
    unknown: int

    def to_dict(self) -> Map:
        labelled = len(self.window.labelled)
        told = {**self.feedback.to_dict(), "unknown": self.unknown, "labelled": labelled}
        return Map({"log": self.lines.to_dict(), "feedback": Map(told)})


def look(log: Log, reference: Reference, model: str, start: datetime, end: datetime) -> Seen:
    """What a model was asked and answered in a window, with what turned out to be true since."""
    lines = read_lines(log, reference, frozenset([model]), start, end)
    feedback = read_feedback(log, reference)
    return Seen(
        window=window_of(lines, feedback, reference, start, end),
        lines=lines,
        feedback=feedback,
        unknown=unknown_ids(log, feedback, {*lines.seen}, lines.ids),
    )


def window_of(
    lines: Lines, feedback: Feedback, reference: Reference, start: datetime, end: datetime
) -> Window:
    """The columns of lines, and the truths of those that have one."""
    table = lines.table
    predicted = _predicted(table, reference)
    known = ~np.isnan(predicted if predicted.ndim == 1 else predicted.sum(axis=1))
    answered = table.filter(pa.array(known))
    predicted = predicted[known]
    wrong = Counter(pc.list_flatten(pc.drop_null(table[WRONG.name])).to_pylist())
    seconds = pc.drop_null(table["seconds"]).to_numpy()
    return Window(
        start=start,
        end=end,
        rows=table.num_rows,
        columns=tuple(
            column_of(one, table[f"record.{one.name}"], wrong[one.name])
            for one in reference.columns
        ),
        score=_score(reference, predicted),
        predicted=predicted,
        truth=_truths(answered["id"], feedback.table, reference),
        segments=dict(_segments(answered, reference)),
        seconds=seconds,
    )


def column_of(reference: ColumnReference, values: pa.ChunkedArray, wrong: int = 0) -> Column:
    """A column of lines as it is compared."""
    null = values.null_count
    if reference.sensitive:
        return Column(name=reference.name, rows=len(values), missing=null)
    if reference.is_number:
        numbers = numbers_of(reference, values)
        known = numbers[~np.isnan(numbers)]
        broken = len(numbers) - len(known) - null  # times that are none
        return Column(
            name=reference.name,
            rows=len(values),
            missing=max(0, null - wrong),
            wrong=wrong + broken,
            numbers=known,
        )
    counted = pc.value_counts(pc.drop_null(values)).to_pylist()
    return Column(
        name=reference.name,
        rows=len(values),
        missing=max(0, null - wrong),
        wrong=wrong,
        levels={_text(one["values"]): one["counts"] for one in counted},
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def numbers_of(reference: ColumnReference, values: pa.ChunkedArray) -> Array:
    """Numbers, or times as seconds since 1970; NaN where there is none."""
    if reference.kind == "numeric":
        found: Array = values.to_numpy().astype("float64")
        return found
    return times_of(values.combine_chunks())


def times_of(values: pa.Array) -> Array:
    """Texts by dictionary that are times (without a zone: as they are), as seconds since 1970."""
    names = values.dictionary.to_pylist() if len(values.dictionary) else []
    each = np.array([_moment(name) for name in names] + [np.nan])
    codes = pc.fill_null(values.indices, len(names)).to_numpy(zero_copy_only=False)
    found: Array = each[codes]
    return found


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _predicted(table: pa.Table, reference: Reference) -> Array:
    """Probabilities (rows x classes), or numbers; NaN where a line has none."""
    if not reference.classes:
        found: Array = table["answer.prediction"].to_numpy().astype("float64")
        return found
    shares = table["answer.probabilities"].combine_chunks()
    columns = [
        pc.struct_field(shares, [place]).to_numpy(zero_copy_only=False).astype("float64")
        for place in range(len(reference.classes))
    ]
    return np.column_stack(columns) if len(table) else np.empty((0, len(columns)))


def _score(reference: Reference, predicted: Array) -> Column:
    rows, classes = len(predicted), reference.classes
    if len(classes) <= 2:
        numbers = predicted[:, 1] if classes else predicted
        return Column(name=reference.score.name, rows=rows, missing=0, numbers=numbers)
    counts = np.bincount(labels_of(predicted, reference.threshold), minlength=len(classes)).tolist()
    levels = {name: count for name, count in zip(classes, counts, strict=True) if count}
    return Column(name=reference.score.name, rows=rows, missing=0, levels=levels)


def _truths(ids: pa.ChunkedArray, known: pa.Table, reference: Reference) -> Array:
    """The truth of each id: a class's place, or -1; or a number, or NaN."""
    places = pc.index_in(ids, known["id"].combine_chunks())
    truths = known["truth"].combine_chunks().take(places.combine_chunks())
    found: Array
    if reference.classes:
        codes = pc.index_in(truths, pa.array(reference.classes, pa.string()))
        found = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype("int64")
    else:
        found = truths.to_numpy(zero_copy_only=False).astype("float64")
    return found


def _segments(answered: pa.Table, reference: Reference) -> Iterator[tuple[str, Array]]:
    """The level of each row, for the columns that the reference has levels of."""
    columns = {column.name: column for column in reference.columns}
    for name, facts in reference.segments.items():
        own, values = columns[name], answered[f"record.{name}"]
        assert isinstance(facts, Map)
        if "edges" in facts:
            numbers = numbers_of(own, values)
            names: Any = np.array([*facts["names"], MISSING], dtype=object)  # type: ignore[misc]
            edges: Any = facts["edges"]
            codes = np.searchsorted(np.array(edges), numbers, side="right")
            yield name, names[np.where(np.isnan(numbers), -1, codes)]
        else:
            texts = [MISSING if v is None else _text(v) for v in values.to_pylist()]
            yield name, np.array(texts, dtype=object)
