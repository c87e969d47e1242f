"""Frequency: levels become how often they stand in the training rows."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations.columns import number, numbers, of_levels, texts
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort
from mlops_compile.steps.preparations.levels import level_counts, state_levels, values_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequency:
    """The share or the count of training rows with the level; 0 for an unseen one.

    Missing is as a level of its own: how many training rows are missing.
    """

    of: str = key(
        "share of the training rows, or count", default="share", choices=("share", "count")
    )


def shapes(spec: Frequency, shape: Shape) -> tuple[Shape, ...]:
    """A number, never missing."""
    return (Shape(sort="numeric", missing=False),)


def fit(spec: Frequency, feature: Feature) -> Map:
    """The levels with their counts or shares."""
    import numpy as np

    rows = max(len(feature.values), 1) if spec.of == "share" else 1
    counts = level_counts(feature)
    missing = int(np.count_nonzero(texts(feature).codes < 0))
    found: dict[str, Value] = {
        "levels": tuple(counts),
        "values": tuple(count / rows for count in counts.values()),
        "missing": missing / rows,
    }
    return Map(found)


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Look up."""
    table = dict(zip(state_levels(state), numbers(state["values"]), strict=True))
    missing: Any = state["missing"]
    values = of_levels(lambda level: table.get(level, 0.0), feature, missing)
    return (Feature(name=feature.name, sort="numeric", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    table = values_code(state_levels(state), numbers(state["values"]))
    missing = number(state["missing"])
    return (f"{to[0]} = {missing} if {x} is None else {table}.get({x}, 0.0)",)


PREPARATION = Preparation(
    name="frequency",
    spec=Frequency,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
