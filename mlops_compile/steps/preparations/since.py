"""Since: the time that has passed since a stated moment, as a number."""

# numpy is imported inside `apply`: compiling reads only the declaration.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import number
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit
from mlops_compile.steps.preparations.rows import micros

# unit -> its microseconds
UNITS: Mapping[str, float] = {
    "days": 86400e6,
    "hours": 3600e6,
    "minutes": 60e6,
    "seconds": 1e6,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Days, hours, minutes or seconds from a moment to the value, with fractions; negative before
    it, missing where the time is. Times with a zone are taken in UTC."""

    date: str = key('the moment, for example "2020-01-01" or "2020-01-01T12:00:00"', filled=True)
    unit: str = key("the unit", default="days", choices=tuple(UNITS))


def shapes(spec: Since, shape: Shape) -> tuple[Shape, ...]:
    """A number, missing where the time is."""
    return (Shape(sort="numeric", missing=shape.missing),)


def unfit(spec: Since, sort: Sort) -> Unfit | None:
    """A date that is none."""
    if moment(spec.date) is not None:
        return None
    hint = 'dates are written as "2020-01-01" or "2020-01-01T12:00:00" (ISO 8601)'
    return Unfit(option="date", message=f"{spec.date!r} is no date", hint=hint)


def moment(text: str) -> datetime | None:
    """The time of an ISO 8601 text, without its zone (in UTC); None where it is none."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def fit(spec: Since, feature: Feature) -> Map:
    """Nothing is learned; the moment in microseconds since 1970, and the unit in microseconds."""
    found = moment(spec.date)
    assert found is not None  # `unfit` is asked before
    return Map({"origin": micros(found), "unit": UNITS[spec.unit]})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Subtract, then divide."""
    values = (column_micros(feature.values) - state["origin"]) / state["unit"]
    return (Feature(name=feature.name, sort="numeric", values=values),)


def column_micros(values: Any) -> Any:
    """Microseconds since 1970 of a column of times, as float64; NaN for a missing one."""
    import numpy as np

    times = np.asarray(values, dtype="datetime64[us]")
    return np.where(np.isnat(times), np.nan, times.view("int64").astype("float64"))


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    moved = f"(micros({x}) - {number(state['origin'])}) / {number(state['unit'])}"
    return (f"{to[0]} = NAN if {x} is None else {moved}",)


PREPARATION = Preparation(
    name="since",
    spec=Since,
    accepts=("datetime",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
)
