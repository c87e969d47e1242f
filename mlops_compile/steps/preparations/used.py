"""What the preparations of a step's params need, all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.kind import Preparation

_LISTS = ("numeric", "boolean", "categorical", "datetime")


def used(prepare: Map) -> Iterator[tuple[Preparation, Any]]:
    """Every preparation that the `prepare` of a config names, with its options."""
    columns = prepare.get("columns", Map())
    own = tuple(columns.values()) if isinstance(columns, Map) else ()
    for chain in (*(prepare.get(name, ()) for name in _LISTS), *own):
        for entry in chain if isinstance(chain, tuple) else ():
            assert isinstance(entry, Map)
            yield from map(_preparation, entry.items())


def _preparation(entry: tuple[str, Value]) -> tuple[Preparation, Any]:
    name, options = entry
    return PREPARATIONS[name], from_value(PREPARATIONS[name].spec, options)


def learns_from_target(prepare: Map) -> bool:
    """Whether one of them learns from the target."""
    return any(preparation.cross_fit is not None for preparation, _ in used(prepare))
