"""Validate: a table becomes what the config says of its columns, or a sentence why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, pretty
from mlops_compile.steps.columns import Column, class_order, role_of
from mlops_compile.steps.tables import read_table, write_table

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

Rows = NDArray[np.int64]
_TOP_LEVELS = 20


def run(work: Work) -> None:
    """Writes `table` (columns by name, `target` apart), `target` (class positions with their
    names, or numbers) and `profile` (what the columns hold, as data)."""
    data = work.params["data"]
    assert isinstance(data, Map)
    stated = data.get("columns", Map())
    assert isinstance(stated, Map)
    columns = {name: from_value(Column, value) for name, value in stated.items()}
    table = read_table(work.inputs["table"])
    name = str(data["target"])
    total = table.num_rows
    rows = np.arange(1, total + 1)  # as they stand in the data, for people
    if data.get("missing_target") == "drop":
        kept_rows = pc.is_valid(table.column(name))
        table, rows = table.filter(kept_rows), rows[kept_rows.to_numpy()]
    target = _target(table.column(name), name, str(data["task"]), data.get("positive"), rows)
    write_table(work.outputs["target"], pa.table({"target": target}))

    kept, fields, profile = [], [], {}
    for column in sorted(set(table.column_names) - {name}):
        role = role_of(columns, column)
        if role == "ignore":
            continue
        sort, values = _typed(table.column(column), column, rows)
        metadata = {"role": role, "sort": sort}
        kept.append(values)
        fields.append(pa.field(column, values.type, metadata=metadata))
        profile[column] = _profile(values, sort)
    write_table(work.outputs["table"], pa.table(kept, schema=pa.schema(fields)))
    counts = {"rows": table.num_rows, "dropped": total - table.num_rows}
    text = pretty(Map({**counts, "columns": Map(profile)}))
    work.outputs["profile"].write_text(text, "utf-8")


def _typed(column: pa.ChunkedArray, name: str, rows: Rows) -> tuple[str, pa.Array]:
    """The sort and the values of a column as features: float64, bool, dictionary or timestamp."""
    values = column.combine_chunks()
    if pa.types.is_integer(values.type):
        return "numeric", pc.cast(values, pa.float64(), safe=False)
    if pa.types.is_floating(values.type):
        infinite = np.flatnonzero(np.isinf(values.to_numpy(zero_copy_only=False)))
        if len(infinite):
            message = f"row {rows[infinite[0]]} of the data holds an infinite value"
            hint = "mend it, or list it in data.source.options.missing"
            raise StepError([problem("infinite", message, ("data", "columns", name), hint)])
        return "numeric", values
    if pa.types.is_boolean(values.type):
        return "boolean", values
    if pa.types.is_timestamp(values.type):
        return "datetime", values
    return "categorical", _categories(values)


def _categories(values: pa.Array) -> pa.DictionaryArray:
    levels = sorted(text for text in values.unique().to_pylist() if text is not None)
    codes = pc.index_in(values, pa.array(levels, pa.string()))
    return pa.DictionaryArray.from_arrays(codes, pa.array(levels, pa.string()))


def _target(column: pa.ChunkedArray, name: str, task: str, positive: Value, rows: Rows) -> pa.Array:
    """Class positions over the classes' names (the positive one last), or float64 numbers."""
    values = column.combine_chunks()
    where = ("data", "target")
    if values.null_count:
        gaps = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
        message = f"{name!r} is missing in {len(gaps)} rows, the first is row {rows[gaps[0]]}"
        hint = "mend them, or leave them out with data.missing_target=drop"
        raise StepError([problem("target", message, where, hint)])
    if task == "regression":
        numbers = pc.cast(values, pa.float64(), safe=False)
        infinite = np.flatnonzero(~np.isfinite(numbers.to_numpy(zero_copy_only=False)))
        if len(infinite):
            message = f"{name!r} is no finite number in row {rows[infinite[0]]} of the data"
            hint = "mend it, or list it in data.source.options.missing"
            raise StepError([problem("target", message, where, hint)])
        return numbers
    coded = _categories(pc.cast(values, pa.string()))
    levels = class_order(tuple(coded.dictionary.to_pylist()), task, positive)
    codes = pc.index_in(pc.cast(values, pa.string()), pa.array(levels, pa.string()))
    return pa.DictionaryArray.from_arrays(codes, pa.array(levels, pa.string()))


def _profile(values: pa.Array, sort: str) -> Map:
    facts: dict[str, Any] = {"type": sort, "missing": values.null_count}
    known = values.drop_null()
    if sort == "categorical":
        counts = np.bincount(known.indices.to_numpy(), minlength=len(known.dictionary))
        order = sorted(range(len(counts)), key=lambda code: (-counts[code], code))[:_TOP_LEVELS]
        names = known.dictionary.to_pylist()
        facts["levels"] = len(names)
        facts["top"] = Map({names[code]: int(counts[code]) for code in order if counts[code]})
    elif sort == "boolean":
        facts["true"] = int(pc.sum(known).as_py() or 0)
    elif sort == "datetime" and len(known):
        facts["low"] = pc.min(known).as_py().isoformat()
        facts["high"] = pc.max(known).as_py().isoformat()
    elif sort == "numeric":
        numbers = np.sort(known.to_numpy(zero_copy_only=False))
        numbers = numbers[~np.isnan(numbers)]
        if len(numbers):
            shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
            places = (int(share * (len(numbers) - 1)) for share in shares)
            facts["quantiles"] = tuple(float(numbers[place]) for place in places)
    return Map(facts)
