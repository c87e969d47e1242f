"""Bins: into which parts of its reference a service counts the values that it is asked with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mlops_compile.ir.reference import ColumnReference, Reference
from mlops_compile.ir.schema import from_value, to_value
from mlops_compile.ir.serving import Bins, ServingSpec
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.monitoring import Monitor

MISSING, OTHER = "(missing)", "(other)"
# Levels that have a bin of their own: the most frequent, but for texts that are no names.
_MOST_LEVELS, _LONGEST = 20, 100
_EPOCH = datetime(1970, 1, 1)  # a record's times have no zone


def watched(spec: ServingSpec, reference: Reference, stated: Value) -> ServingSpec:
    """A spec with the bins of its columns and its score, and the keys of `monitor`, of which those
    are `stated` that are not the defaults."""
    attributes = {column.name: column.attribute for column in spec.columns}
    monitor = from_value(Monitor, stated)
    columns = tuple(
        bins(one, attributes[one.name], monitor.times or not one.is_time)
        for one in reference.columns
    )
    found, keys = (*columns, bins(reference.score, "")), to_value(monitor)
    assert isinstance(keys, Map)
    return replace(spec, served=replace(spec.served, bins=found, monitor=keys))


def bins(column: ColumnReference, attribute: str, is_compared: bool = True) -> Bins:
    """The bins of a column, or of the score; of one that is not compared, that of missing values
    alone."""
    missing = column.missing / column.rows if column.rows else 0.0
    about: dict[str, Any] = {"name": column.name, "attribute": attribute, "kind": column.kind}
    if column.sensitive or not is_compared:
        return Bins(**about, names=(MISSING,), shares=(missing,))
    if column.is_number:
        counts, names = column.counts or (0,), _intervals(column)
        shares = (*_smooth(counts), missing)
        return Bins(**about, edges=column.edges, names=(*names, MISSING), shares=shares)
    own = [(level, rows) for level, rows in column.levels if len(level) <= _LONGEST][:_MOST_LEVELS]
    rest = column.rows - column.missing - sum(rows for _, rows in own)
    return Bins(
        **about,
        levels=tuple(level for level, _ in own),
        names=(*(_level(level) for level, _ in own), OTHER, MISSING),
        shares=(*_smooth([*(rows for _, rows in own), rest]), missing),
    )


def moment(seconds: float) -> str:
    """A time as a record has it, ISO 8601."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _smooth(counts: Sequence[int]) -> tuple[float, ...]:
    """Shares of bins, with half a value more in each, as the population stability index of
    `monitor` has them."""
    whole = sum(counts) + len(counts) / 2
    return tuple((count + 0.5) / whole for count in counts)


def _intervals(column: ColumnReference) -> list[str]:
    is_time = "datetime" in column.kind
    edges = [moment(edge) if is_time else repr(edge).removesuffix(".0") for edge in column.edges]
    ends = ["-inf", *edges, "inf"]
    first, *rest = [f"{low}, {high})" for low, high in itertools.pairwise(ends)]
    return [f"({first}", *(f"[{interval}" for interval in rest)]


def _level(text: str) -> str:
    """The name of a level's bin, which is none of ours whatever the level is called."""
    return f"={text}" if not text or text.startswith(("(", "=")) else text
