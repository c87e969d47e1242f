"""Tested: which values of each field the test part has, and which of the data's it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.tables import read_table

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

_MOST = 10  # levels that are named


def tested(work: Work, spec: ServingSpec, hidden: frozenset[str]) -> list[dict[str, Any]]:
    """A row for each field of the contract."""
    rows = read_table(work.inputs["predictions"]).column("row")
    table = read_table(work.inputs["table"])
    found = []
    for field in spec.contract.request:
        whole = table.column(field.name).combine_chunks()
        part = whole.take(rows.combine_chunks())
        values, untested = _levels(whole, part) if _is_level(whole) else _range(whole, part)
        if field.name in hidden:
            values, untested = "sensitive", ""
        elif whole.null_count and not part.null_count:
            untested = "; ".join(filter(None, (untested, "missing values")))
        found.append({"name": field.name, "held": values, "untested": untested})
    return found


def _is_level(values: pa.Array) -> bool:
    return bool(pa.types.is_dictionary(values.type) or pa.types.is_boolean(values.type))


def _levels(whole: pa.Array, part: pa.Array) -> tuple[str, str]:
    there = {str(level) for level in whole.unique().to_pylist() if level is not None}
    seen = {str(level) for level in part.unique().to_pylist() if level is not None}
    absent = sorted(there - seen)
    untested = ", ".join(absent[:_MOST])
    if len(absent) > _MOST:
        untested += f" and {len(absent) - _MOST} more"
    counted = "1 level" if len(seen) == 1 else f"{len(seen)} levels"
    return counted, untested


def _range(whole: pa.Array, part: pa.Array) -> tuple[str, str]:
    low, high = (_text(item) for item in _ends(part))
    if not low:
        return "none", "all values" if whole.null_count < len(whole) else ""
    first, last = (_text(item) for item in _ends(whole))
    outside = [f"below {low}"] if first != low else []
    outside += [f"above {high}"] if last != high else []
    return f"{low} to {high}", ", ".join(outside)


def _ends(values: pa.Array) -> tuple[Any, Any]:
    ends = pc.min_max(values)
    return ends["min"].as_py(), ends["max"].as_py()


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value.isoformat())
