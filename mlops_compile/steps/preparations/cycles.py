"""Cycles: parts of a date or a time as points of a circle, so that December is next to January."""

# numpy and pandas are imported inside `apply`: compiling reads only the declaration.

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import numbers
from mlops_compile.steps.preparations.date_parts import PARTS, repeated
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit

# part -> (its first value, how many it has)
_CIRCLES: Mapping[str, tuple[int, int]] = {
    "quarter": (1, 4),
    "month": (1, 12),
    "day": (1, 31),
    "day_of_year": (1, 366),
    "weekday": (0, 7),
    "hour": (0, 24),
    "minute": (0, 60),
    "second": (0, 60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """Sine and cosine of each part's place on its circle: two features a part, missing where the
    time is. Months are taken to have 31 days and years 366."""

    parts: tuple[str, ...] = key(
        "the parts", default=("month", "weekday", "hour"), choices=tuple(_CIRCLES)
    )


def shapes(spec: Cycles, shape: Shape) -> tuple[Shape, ...]:
    """Two numbers a part, missing where the time is."""
    return tuple(Shape(sort="numeric", missing=shape.missing) for _ in range(2 * len(spec.parts)))


def unfit(spec: Cycles, sort: Sort) -> Unfit | None:
    """No part, or one twice."""
    return repeated(spec.parts, tuple(_CIRCLES))


def fit(spec: Cycles, feature: Feature) -> Map:
    """Nothing is learned; the sines are kept, so that no other machine computes them anew."""
    return Map({"circles": tuple(_circle(part) for part in spec.parts)})


def _circle(part: str) -> Map:
    count = _CIRCLES[part][1]
    angles = [2 * math.pi * place / count for place in range(count)]
    return Map(
        {
            "part": part,
            "sin": tuple(math.sin(angle) for angle in angles),
            "cos": tuple(math.cos(angle) for angle in angles),
        }
    )


def outputs(name: str, state: Map) -> tuple[str, ...]:
    """Two names a part."""
    return tuple(
        f"{name}:{circle['part']}_{wave}" for circle in _circles(state) for wave in ("sin", "cos")
    )


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Look up."""
    import numpy as np
    import pandas as pd

    times = pd.Series(np.asarray(feature.values)).dt
    made = []
    for circle in _circles(state):
        part = str(circle["part"])
        values = getattr(times, PARTS[part][0]).to_numpy("float64")
        missing = np.isnan(values)
        places = np.where(missing, 0, values - _CIRCLES[part][0]).astype("int64")
        for wave in ("sin", "cos"):
            table = np.array(numbers(circle[wave]))
            made.append(np.where(missing, np.nan, table[places]))
    return tuple(
        Feature(name=name, sort="numeric", values=values)
        for name, values in zip(outputs(feature.name, state), made, strict=True)
    )


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    lines = []
    for n, circle in enumerate(_circles(state)):
        part = str(circle["part"])
        first = _CIRCLES[part][0]
        place = PARTS[part][1].format(x=x) + (f" - {first}" if first else "")
        for name, wave in zip(to[2 * n : 2 * n + 2], ("sin", "cos"), strict=True):
            table = repr(numbers(circle[wave]))
            lines.append(f"{name} = NAN if {x} is None else {table}[{place}]")
    return tuple(lines)


def _circles(state: Map) -> tuple[Map, ...]:
    circles = state["circles"]
    assert isinstance(circles, tuple)
    return tuple(circle for circle in circles if isinstance(circle, Map))


PREPARATION = Preparation(
    name="cycles",
    spec=Cycles,
    accepts=("datetime",),
    shapes=shapes,
    fit=fit,
    outputs=outputs,
    apply=apply,
    code=code,
    unfit=unfit,
    platform=lambda spec: True,
)
