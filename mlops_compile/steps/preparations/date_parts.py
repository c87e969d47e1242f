"""Date parts: numbers that a calendar and a clock show at a moment."""

# numpy and pandas are imported inside `apply`: compiling reads only the declaration.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit

# part -> (pandas attribute, Python expression on a datetime)
PARTS: Mapping[str, tuple[str, str]] = {
    "year": ("year", "{x}.year"),
    "quarter": ("quarter", "(({x}.month + 2) // 3)"),
    "month": ("month", "{x}.month"),
    "day": ("day", "{x}.day"),
    "day_of_year": ("day_of_year", "{x}.timetuple().tm_yday"),
    "weekday": ("day_of_week", "{x}.weekday()"),
    "hour": ("hour", "{x}.hour"),
    "minute": ("minute", "{x}.minute"),
    "second": ("second", "{x}.second"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DateParts:
    """Numbers that a calendar and a clock show, a feature a part; missing where the time is.

    Weekdays count from Monday, 0. Times with a zone are taken in UTC.
    """

    parts: tuple[str, ...] = key(
        "the parts",
        default=("year", "month", "day", "weekday", "hour"),
        choices=tuple(PARTS),
    )


def shapes(spec: DateParts, shape: Shape) -> tuple[Shape, ...]:
    """Numbers, missing where the time is."""
    return tuple(Shape(sort="numeric", missing=shape.missing) for _ in spec.parts)


def unfit(spec: DateParts, sort: Sort) -> Unfit | None:
    """No part, or one twice."""
    return repeated(spec.parts, tuple(PARTS))


def repeated(parts: tuple[str, ...], known: tuple[str, ...]) -> Unfit | None:
    """No part, or one twice."""
    if not parts:
        message = "must name a part"
        return Unfit(option="parts", message=message, hint=f"some of {', '.join(known)}")
    for part in parts:
        if parts.count(part) > 1:
            return Unfit(option="parts", message=f"holds {part!r} twice", hint="name each once")
    return None


def fit(spec: DateParts, feature: Feature) -> Map:
    """Nothing is learned."""
    return Map({"parts": spec.parts})


def outputs(name: str, state: Map) -> tuple[str, ...]:
    """A name a part."""
    return tuple(f"{name}:{part}" for part in _parts(state))


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Read the parts."""
    import numpy as np
    import pandas as pd

    times = pd.Series(np.asarray(feature.values)).dt
    return tuple(
        Feature(
            name=name, sort="numeric", values=getattr(times, PARTS[part][0]).to_numpy("float64")
        )
        for part, name in zip(_parts(state), outputs(feature.name, state), strict=True)
    )


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    return tuple(
        f"{name} = NAN if {x} is None else float({PARTS[part][1].format(x=x)})"
        for part, name in zip(_parts(state), to, strict=True)
    )


def _parts(state: Map) -> tuple[str, ...]:
    parts = state["parts"]
    assert isinstance(parts, tuple)
    return tuple(str(part) for part in parts)


PREPARATION = Preparation(
    name="date_parts",
    spec=DateParts,
    accepts=("datetime",),
    shapes=shapes,
    fit=fit,
    outputs=outputs,
    apply=apply,
    code=code,
    unfit=unfit,
)
