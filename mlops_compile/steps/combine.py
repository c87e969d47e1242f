"""Combine: the rows of a separate test source below the others, and columns of joined sources
beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import KeyPath, Map, Value, pick
from mlops_compile.steps.columns import MARK
from mlops_compile.steps.joins import Join, in_turn, right_of, time_of
from mlops_compile.steps.moments import span
from mlops_compile.steps.tables import BATCH_ROWS, read_table, write_batches

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Rows = np.ndarray[Any, np.dtype[np.int64]]

_NONE = -1
_SHOWN = 3


def run(work: Work) -> None:
    """Writes `table`: the rows of `table`, then those of `test` (told by a column of their own),
    each with the columns of the other inputs that its joins take, in the order of the data.

    StepError where the keys of a join are not as unique as its cardinality says.
    """
    table = read_table(work.inputs["table"])
    if "test" in work.inputs:
        table = _below(table, read_table(work.inputs["test"]))
    joins = pick(work.params, ("data", "join")) if "join" in _data(work.params) else Map()
    assert isinstance(joins, Map)
    parts: list[tuple[pa.Table, Rows | None]] = [(table, None)]
    others = {name: read_table(work.inputs[name]) for name in joins}
    for name, join in in_turn(
        table.column_names,
        [(name, _join(value)) for name, value in joins.items()],
        lambda name, join: _named(others[name], join).column_names,
    ):
        other = others[name]
        rows, places = matches(_whole(parts), other, join, name)
        if rows is not None:
            parts = [(part, rows if at is None else at[rows]) for part, at in parts]
        parts.append((_named(other, join), places))
    fields = [field for part, _ in parts for field in part.schema]
    schema = pa.schema([pa.field(field.name, field.type) for field in fields])
    count = len(parts[0][1]) if parts[0][1] is not None else table.num_rows
    batches = (
        _batch(parts, schema, start, min(count, start + BATCH_ROWS))
        for start in range(0, count, BATCH_ROWS)
    )
    write_batches(work.outputs["table"], schema, batches)


def _join(value: Value) -> Join:
    assert isinstance(value, Map)
    return from_value(Join, Map({"source": Map(), **value}))


def _data(params: Map) -> Map:
    data = params.get("data", Map())
    assert isinstance(data, Map)
    return data


def _below(table: pa.Table, test: pa.Table) -> pa.Table:
    """Both tables' rows with the columns of the first, marked by where they come from.

    Whole numbers in one and numbers in the other are numbers.
    """
    columns = []
    for field in table.schema:
        chunks = [table.column(field.name), test.column(field.name)]
        if chunks[0].type != chunks[1].type:
            chunks = [chunk.cast(pa.float64(), safe=False) for chunk in chunks]
        columns.append(pa.chunked_array([c for chunk in chunks for c in chunk.chunks]))
    mark = np.arange(table.num_rows + test.num_rows) >= table.num_rows
    return pa.table(
        [*columns, pa.array(mark)], names=[*(field.name for field in table.schema), MARK]
    )


def _named(other: pa.Table, join: Join) -> pa.Table:
    """The columns that a join takes, by the names that they get."""
    matched = {*right_of(join), time_of(join)}
    names = join.columns or tuple(n for n in other.column_names if n not in matched)
    return other.select(names).rename_columns([join.prefix + name for name in names])


def _whole(parts: list[tuple[pa.Table, Rows | None]]) -> Mapping[str, Any]:
    """Columns by name, read only when asked for."""
    return _Columns(parts)


class _Columns(Mapping[str, Any]):
    """The columns of parts side by side; each is taken together when it is asked for."""

    def __init__(self, parts: list[tuple[pa.Table, Rows | None]]) -> None:
        self._found = {name: (part, at) for part, at in parts for name in part.column_names}

    def __getitem__(self, name: str) -> pa.Array:
        part, at = self._found[name]
        return _taken(part.column(name), at).combine_chunks()

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _taken(column: pa.ChunkedArray, at: Rows | None) -> pa.ChunkedArray:
    """A column's values at these places; at -1 there is none."""
    if at is None:
        return column
    return column.take(pa.array(at, mask=at == _NONE))


def _batch(
    parts: list[tuple[pa.Table, Rows | None]], schema: pa.Schema, start: int, end: int
) -> pa.RecordBatch:
    columns = []
    for part, at in parts:
        for name in part.column_names:
            column = part.column(name)
            if at is None:
                column = column.slice(start, end - start)
            else:
                column = _taken(column, at[start:end])
            columns.append(pa.concat_arrays(column.chunks) if column.num_chunks else [])
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def matches(
    left: Mapping[str, Any], right: pa.Table, join: Join, name: str
) -> tuple[Rows | None, Rows]:
    """Which rows of the data come out (None: all, in their order), and for each the row of the
    other source beside it (-1: none)."""
    where = ("data", "join", name)
    ours, theirs = _codes(
        [left[column] for column in join.left],
        [right.column(column).combine_chunks() for column in right_of(join)],
        right.num_rows,
    )
    if join.cardinality in ("one_to_one", "one_to_many"):
        _unique(ours, join.left, left, "the data", join.cardinality, where)
    if join.as_of is not None:
        places = _as_of(left, right, join, ours, theirs, where)
    elif join.cardinality == "one_to_many":
        return _many(ours, theirs, join.how)
    else:
        columns = {column: right.column(column) for column in right_of(join)}
        _unique(theirs, right_of(join), columns, f"the source {name}", join.cardinality, where)
        places = _places(ours, theirs)
    if join.how == "left":
        return None, places
    kept = np.flatnonzero(places != _NONE)
    return kept, places[kept]


def _codes(left: list[pa.Array], right: list[pa.Array], right_rows: int) -> tuple[Rows, Rows]:
    """Equal numbers for equal keys, from 0; -1 where a part of the key is missing."""
    if not left:
        return np.zeros(0, "int64"), np.zeros(right_rows, "int64")
    split = len(left[0])
    codes = np.zeros(split + right_rows, "int64")
    missing = np.zeros(len(codes), bool)
    for one, two in zip(left, right, strict=True):
        if one.type != two.type:
            one, two = _exact(one), _exact(two)
        if pa.types.is_floating(one.type):
            one, two = pc.add(one, 0.0), pc.add(two, 0.0)  # -0.0 is 0.0
        both = pa.chunked_array([one, two]).combine_chunks().dictionary_encode()
        indices = both.indices
        missing |= pc.is_null(indices).to_numpy(zero_copy_only=False)
        part = pc.fill_null(indices, 0).to_numpy(zero_copy_only=False).astype("int64")
        _, codes = np.unique(codes * (len(both.dictionary) + 1) + part, return_inverse=True)
    codes = np.where(missing, _NONE, codes.astype("int64"))
    return codes[:split], codes[split:]


def _exact(numbers: pa.Array) -> pa.Array:
    """Numbers as texts, a whole one the same whatever its type: not every whole number beyond 2**53
    is a float."""
    if pa.types.is_integer(numbers.type):
        return numbers.cast(pa.string())
    is_whole = pc.and_(
        pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), float(1 << 63))
    )
    whole = pc.if_else(is_whole, numbers, 0.0).cast(pa.int64(), safe=False)
    return pc.if_else(is_whole, whole.cast(pa.string()), numbers.cast(pa.string()))


def _unique(
    codes: Rows,
    columns: tuple[str, ...],
    values: Mapping[str, Any],
    owner: str,
    cardinality: str,
    where: KeyPath,
) -> None:
    known = codes[codes != _NONE]
    counts = np.bincount(known) if len(known) else np.zeros(0, "int64")
    repeated = np.flatnonzero(counts > 1)
    if not len(repeated):
        return
    rows = np.flatnonzero(np.isin(codes, repeated[:1]))[:_SHOWN]
    shown = ", ".join(map(str, (rows + 1).tolist()))
    keys = "1 key" if len(repeated) == 1 else f"{len(repeated)} keys"
    stand = "stands" if len(repeated) == 1 else "stand"
    message = (
        f"{keys} of {owner} ({', '.join(columns)}) {stand} in more than one row, "
        f"for example rows {shown}; a {cardinality} join allows one"
    )
    hint = "mend them, match by more columns, or state another cardinality"
    raise StepError([problem("join", message, (*where, "cardinality"), hint)])


def _places(ours: Rows, theirs: Rows) -> Rows:
    size = max(ours.max(initial=_NONE), theirs.max(initial=_NONE)) + 1
    table = np.full(size + 1, _NONE, "int64")  # the last one is that of a missing key
    known = theirs != _NONE
    table[theirs[known]] = np.flatnonzero(known)
    return table[ours]


def _many(ours: Rows, theirs: Rows, how: str) -> tuple[Rows, Rows]:
    """Each row of the data once for each match, in the order of the other source."""
    order = np.argsort(theirs, kind="stable")
    order = order[theirs[order] != _NONE]
    keys = theirs[order]
    first, last = np.searchsorted(keys, ours, "left"), np.searchsorted(keys, ours, "right")
    counts = np.where(ours == _NONE, 0, last - first)
    repeats = np.maximum(counts, 1) if how == "left" else counts
    rows = np.repeat(np.arange(len(ours)), repeats)
    starts = np.repeat(np.cumsum(repeats) - repeats, repeats)
    inside = np.repeat(first, repeats) + np.arange(len(rows)) - starts
    has = np.repeat(counts > 0, repeats)
    places = np.full(len(rows), _NONE, "int64")
    places[has] = order[inside[has]]
    return rows, places


def _as_of(
    left: Mapping[str, Any],
    right: pa.Table,
    join: Join,
    ours: Rows,
    theirs: Rows,
    where: KeyPath,
) -> Rows:
    """For each row the last (first, nearest) one of the other source by time, among equal keys.

    Rows without a time or with a part of their key missing have no match. Of several at one time
    the last in the file counts.
    """
    import pandas as pd  # only an as-of join needs it

    assert join.as_of is not None
    wanted, given = left[join.as_of.left], right.column(str(time_of(join))).combine_chunks()
    both = _times(wanted, given)
    if not join.left:
        ours = np.zeros(len(wanted), "int64")
    sides = []
    for (values, missing), codes in zip(both, (ours, theirs), strict=True):
        rows = np.flatnonzero(~missing & (codes != _NONE))
        rows = rows[np.argsort(values[rows], kind="stable")]
        sides.append(pd.DataFrame({"time": values[rows], "code": codes[rows], "row": rows}))
    tolerance: Any = join.as_of.tolerance
    if isinstance(tolerance, str):
        tolerance = span(tolerance)
    elif tolerance is not None and sides[0]["time"].dtype.kind == "i":
        tolerance = int(tolerance)
    found = pd.merge_asof(
        sides[0],
        sides[1],
        on="time",
        by="code",
        direction=join.as_of.direction,  # type: ignore[arg-type]
        allow_exact_matches=join.as_of.exact,
        tolerance=tolerance,
        suffixes=("", "_there"),
    )
    places = np.full(len(wanted), _NONE, "int64")
    has = found["row_there"].notna().to_numpy()
    places[found["row"].to_numpy()[has]] = found["row_there"].to_numpy()[has].astype("int64")
    if join.cardinality == "one_to_one":
        used = places[places != _NONE]
        if len(np.unique(used)) < len(used):
            message = "rows of the data share a row of the other source, and the join is one_to_one"
            hint = "state cardinality: many_to_one"
            raise StepError([problem("join", message, (*where, "cardinality"), hint)])
    return places


def _times(one: pa.Array, two: pa.Array) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Both as whole microseconds, whole numbers or numbers; and where they are missing."""
    if pa.types.is_timestamp(one.type):
        one, two = (
            side.cast(pa.timestamp("us", one.type.tz)).cast(pa.int64()) for side in (one, two)
        )
    elif one.type != two.type:
        one, two = (side.cast(pa.float64(), safe=False) for side in (one, two))
    found = []
    for side in (one, two):
        missing = pc.is_null(side, nan_is_null=True).to_numpy(zero_copy_only=False)
        found.append((pc.fill_null(side, 0).to_numpy(zero_copy_only=False), missing))
    return found
