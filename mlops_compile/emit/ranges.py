"""Ranges: what the data had of each column, for a service to count what it had not."""

from __future__ import annotations

import pyarrow as pa

from mlops_compile.ir.serving import Range, ServedColumn
from mlops_compile.ir.value import Map, Value, found_at

# Of a column with more levels than this, those that are unseen are not counted.
_MOST_LEVELS = 10_000
_UTC = "+00:00"


def ranges(columns: tuple[ServedColumn, ...], profile: Map, table: pa.Table) -> tuple[Range, ...]:
    """Of each column, in the order of the contract; of sensitive ones nothing but the name."""
    return tuple(_range(column, profile[column.name], table) for column in columns)


def _range(column: ServedColumn, facts: Value, table: pa.Table) -> Range:
    assert isinstance(facts, Map)
    low = high = None
    levels: tuple[str, ...] = ()
    if "sensitive" in facts:
        pass
    elif column.kind == "categorical":
        dictionary = table.column(column.name).combine_chunks().dictionary
        levels = tuple(dictionary.to_pylist()) if len(dictionary) <= _MOST_LEVELS else ()
    elif column.kind != "boolean" and "low" in facts:
        low, high = facts["low"], facts["high"]
        if isinstance(low, str) and isinstance(high, str):  # a record's times have no zone
            low, high = low.removesuffix(_UTC), high.removesuffix(_UTC)
    return Range(
        name=column.name,
        attribute=column.attribute,
        kind=column.kind,
        low=low,  # type: ignore[arg-type]  # the profile's: a number or a text
        high=high,  # type: ignore[arg-type]
        levels=levels,
    )


def shown_levels(columns: tuple[ServedColumn, ...], profile: Map) -> Map:
    """The most frequent levels of a column, for who fills in a form."""
    found = {column.name: found_at(profile, (column.name, "top")) for column in columns}
    return Map({name: tuple(sorted(top)) for name, top in found.items() if isinstance(top, Map)})


def edges(task: str, target: Value) -> tuple[float, ...]:
    """The edges between which scores are counted: of tenths, or of a number those of the data."""
    if task != "regression":
        return tuple(tenth / 10 for tenth in range(1, 11))
    found = found_at(target, ("bins", "edges"))
    return tuple(float(str(edge)) for edge in found) if isinstance(found, tuple) else ()
