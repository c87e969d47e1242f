"""Validate: a table becomes what the config says of its columns, or sentences why it cannot.

The table is looked at column by column and written batch by batch, so that its size on disk is no
size in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, pretty
from mlops_compile.steps import profile
from mlops_compile.steps.checking import Checked, Stated, check_table
from mlops_compile.steps.columns import Column, left_levels
from mlops_compile.steps.columns import Rows as RowRules
from mlops_compile.steps.tables import (
    read_batches,
    regular,
    schema_of,
    write_batches,
    write_table,
)
from mlops_compile.steps.target import Target, target_of, target_problems

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_compile.steps.kind import Work

# Up to so many levels, a batch's texts are looked up again when they are written; beyond, their
# codes are kept in memory, which takes less than that.
_MANY = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A column that is written: its sort, its place in the input, and the levels of texts (with
    the code of every row, where the levels are many)."""

    field: pa.Field
    sort: str
    place: int
    voided: NDArray[np.int64]
    levels: pa.Array | None = None
    codes: NDArray[np.int32] | None = None


def run(work: Work) -> None:
    """Writes `table` (columns by name, `target` apart), `target` (class positions with their
    names, or numbers), `profile` (what the columns hold, as data) and `report` (which rules were
    broken, and what was done about it)."""
    data = work.params["data"]
    assert isinstance(data, Map)
    stated, target = _stated(data)
    path = work.inputs["table"]
    found = check_table(path, stated)
    for note in found.notes:
        warnings.warn(note, stacklevel=1)
    if found.problems:
        raise StepError(found.problems)
    answers = target_of(found.left_values(target.name), target)
    before = () if target.task == "regression" else _levels_before(found, stated, target)
    if problems := target_problems(answers, target, before):
        raise StepError(problems)
    told = {"sensitive": "true"} if target.sensitive else None
    field = pa.field("target", answers.type, metadata=told)
    write_table(work.outputs["target"], pa.table([answers], schema=pa.schema([field])))
    work.outputs["report"].write_text(pretty(found.report), "utf-8")

    kept, profiles = [], {}
    schema = schema_of(path)
    for name in sorted(set(schema.names) - {target.name}):
        column = stated.column(name)
        if column.role != "ignore":
            made, profiles[name] = _kept(name, schema.get_field_index(name), column, found)
            kept.append(made)
    fields = pa.schema([column.field for column in kept])
    write_batches(
        work.outputs["table"], fields, regular(_batches(path, kept, fields, found.left), fields)
    )
    rows = int(found.left.sum())
    whole: dict[str, Value] = {
        "rows": rows,
        "dropped": len(found.left) - rows,
        "columns": Map(profiles),
        "target": _target_profile(answers, target),
    }
    work.outputs["profile"].write_text(pretty(Map(whole)), "utf-8")


def _stated(data: Map) -> tuple[Stated, Target]:
    columns = data.get("columns", Map())
    assert isinstance(columns, Map)
    stated = Stated(
        target=str(data["target"]),
        missing_target=str(data.get("missing_target", "fail")),
        columns={name: from_value(Column, value) for name, value in columns.items()},
        rows=from_value(RowRules, data.get("rows", Map())),
    )
    target = Target(
        name=stated.target,
        task=str(data["task"]),
        positive=data.get("positive"),
        sensitive=stated.column(stated.target).sensitive,
    )
    return stated, target


def _levels_before(found: Checked, stated: Stated, target: Target) -> tuple[str, ...]:
    """The classes of all rows, but for those that the config leaves out by name."""
    if found.left.all() and not found.voided:
        return ()
    values = Checked(path=found.path, left=found.left).values(target.name)
    texts = pc.cast(pc.unique(values).drop_null(), pa.string()).to_pylist()
    return left_levels(tuple(texts), stated.column(target.name))


def _kept(name: str, place: int, column: Column, found: Checked) -> tuple[_Kept, Map]:
    """How a column is written, and its profile."""
    values = found.left_values(name)
    sort, levels, codes = _sort(values.type), None, None
    if sort == "categorical":
        levels, counts = _levels(values)
        type_ = pa.dictionary(pa.int32(), pa.string())
        about = profile.levels(levels, counts, values.null_count)
        if len(levels) > _MANY:
            found_codes = pc.index_in(found.values(name), levels).combine_chunks()
            codes = pc.fill_null(found_codes, -1).to_numpy(zero_copy_only=False)
    elif sort == "numeric":
        type_ = pa.float64()
        numbers = pc.cast(values, type_, safe=False).drop_null().to_numpy().copy()
        numbers = numbers[~np.isnan(numbers)]
        about = profile.numeric(numbers, len(values) - len(numbers))
    else:
        type_ = values.type
        about = profile.boolean(values) if sort == "boolean" else profile.datetimes(values)
    metadata = {"role": column.role, "sort": sort}
    if column.sensitive:
        metadata["sensitive"] = "true"
        missing = about["missing"]
        assert isinstance(missing, int)
        about = profile.secret(sort, missing)
    made = _Kept(
        field=pa.field(name, type_, metadata=metadata),
        sort=sort,
        place=place,
        voided=found.voided.get(name, np.array([], np.int64)),
        levels=levels,
        codes=codes,
    )
    return made, about


def _sort(type_: pa.DataType) -> str:
    if pa.types.is_timestamp(type_):
        return "datetime"
    return {"bool": "boolean", "string": "categorical"}.get(str(type_), "numeric")


def _levels(values: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """The distinct texts in code point order, and the rows of each."""
    counted = pc.value_counts(values.drop_null())
    names, counts = counted.field("values"), counted.field("counts").to_numpy()
    order = pc.array_sort_indices(names)
    return names.take(order), counts[order.to_numpy()]


def _batches(
    path: Path, kept: list[_Kept], schema: pa.Schema, left: NDArray[np.bool_]
) -> Iterator[pa.RecordBatch]:
    """The rows that stay, in batches as they come, as features."""
    start = 0
    for batch in read_batches(path):
        stop = start + batch.num_rows
        columns = [_written(column, batch.column(column.place), start, stop) for column in kept]
        made = pa.RecordBatch.from_arrays(columns, schema=schema)
        mask = left[start:stop]
        yield made if mask.all() else made.filter(pa.array(mask))
        start = stop


def _written(column: _Kept, values: pa.Array, start: int, stop: int) -> pa.Array:
    """A batch of a column as features: float64, bool, dictionary or timestamp."""
    first, last = np.searchsorted(column.voided, [start, stop])
    if first < last:
        mask = np.zeros(len(values), bool)
        mask[column.voided[first:last] - start] = True
        values = pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)
    if column.sort == "categorical":
        if column.codes is None:
            codes = pc.index_in(values, column.levels)
        else:
            part = column.codes[start:stop]
            codes = pa.array(part, mask=part < 0)
        return pa.DictionaryArray.from_arrays(codes, column.levels)
    if column.sort == "numeric" and not pa.types.is_floating(values.type):
        return pc.cast(values, pa.float64(), safe=False)
    return values


def _target_profile(answers: pa.Array, target: Target) -> Map:
    if target.sensitive:
        return profile.secret("numeric", 0)
    if pa.types.is_dictionary(answers.type):
        names = answers.dictionary.to_pylist()
        counts: Any = np.bincount(answers.indices.to_numpy(), minlength=len(names)).tolist()
        return Map({"type": "classes", "rows": Map(dict(zip(names, counts, strict=True)))})
    return profile.numeric(answers.to_numpy().copy(), 0)
