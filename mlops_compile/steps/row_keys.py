"""What of each row says where it belongs: its time, group, key or part, from a validated table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.divide import Rows

_LACKS = {
    "time": "which have no place in time",
    "group": "which belong to no group",
    "key": "which have no key",
    "part": "which belong to no part",
}
_SHOWN = 5


def times_of(table: pa.Table, name: str, where: KeyPath) -> NDArray[Any]:
    """Microseconds (int64) of a datetime column, or the numbers of a numeric one."""
    column = _column(table, name, where, "time")
    if pa.types.is_timestamp(column.type) or pa.types.is_floating(column.type):
        return _plain(column)
    message = f"{name!r} is no datetime and no number"
    hint = "set its type to datetime, or sort by another column"
    raise StepError([problem("split", message, where, hint)])


def groups_of(table: pa.Table, name: str, where: KeyPath) -> Rows:
    """Numbers that are equal where the column's values are, in the order of these."""
    return _numbers(_column(table, name, where, "group"))[0]


def values_of(table: pa.Table, name: str, where: KeyPath) -> tuple[Rows, list[str]]:
    """The place of each row's value among the values that there are, and these as texts."""
    numbers, values = _numbers(_column(table, name, where, "part"))
    return numbers, [_text(value) for value in values]


def is_sensitive(table: pa.Table, name: str) -> bool:
    """Whether a column's values may not stand in a message."""
    return b"sensitive" in (table.schema.field(name).metadata or {})


def keys_of(table: pa.Table, names: Sequence[str], where: KeyPath) -> list[bytes]:
    """The key of each row as bytes: the texts of its values, by name of the columns as given.

    A number is as it is written without needless zeros, so that a column of whole numbers keeps
    its keys when a text or a fraction is added to it.
    """
    columns = []
    for position, name in enumerate(names):
        column = _column(table, name, (*where, str(position)), "key")
        numbers, values = _numbers(column)
        texts = [_text(value) for value in values]
        columns.append([texts[number] for number in numbers])
    # Lengths keep apart what would be one text: ("ab", "c") and ("a", "bc").
    rows = zip(*columns, strict=True)
    return ["".join(f"{len(text)}:{text}" for text in row).encode("utf-8") for row in rows]


def _column(table: pa.Table, name: str, where: KeyPath, use: str) -> pa.Array:
    if name not in table.column_names:
        message = f"the data has no column {name!r}" + (" to sort by" if use == "time" else "")
        raise StepError([problem("split", message, where)])
    column = table.column(name).combine_chunks()
    gaps = pc.is_null(column, nan_is_null=True)
    if missing := pc.sum(gaps).as_py() or 0:
        message = f"{name!r} is missing in {missing} rows, {_LACKS[use]}"
        hint = "mend these rows, or leave them out of the data"
        raise StepError([problem("split", message, where, hint)])
    return column


def _numbers(column: pa.Array) -> tuple[Rows, list[Any]]:
    """The place of each row's value among the values that there are, and these in order."""
    if pa.types.is_dictionary(column.type):
        codes, texts = column.indices.to_numpy(), column.dictionary.to_pylist()
        used = sorted(np.unique(codes).tolist(), key=texts.__getitem__)
        rank = np.zeros(len(texts), np.int64)
        rank[used] = np.arange(len(used))
        return rank[codes], [texts[code] for code in used]
    values, places = np.unique(_plain(column), return_inverse=True)
    if pa.types.is_timestamp(column.type):
        held = pa.array(values, pa.timestamp("us")).to_pylist()
        return places.astype(np.int64), [moment.isoformat() for moment in held]
    return places.astype(np.int64), values.tolist()


def _plain(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case float():
            return repr(value)
        case _:
            return str(value)


def shown(names: Sequence[str]) -> str:
    """Some texts in a message."""
    listed = ", ".join(map(repr, names[:_SHOWN]))
    return f"{listed}, ..." if len(names) > _SHOWN else listed
