"""Category: native categories, for families that split on sets of levels."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort
from mlops_compile.steps.preparations.levels import (
    positions,
    seen_levels,
    state_levels,
    table_code,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """Levels become codes in code point order; missing, unseen and rare levels are missing."""

    min_count: int = key("rows of the training part a level must stand in", default=1, low=1)


def shapes(spec: Category, shape: Shape) -> tuple[Shape, ...]:
    """A code; unseen levels are missing."""
    return (Shape(sort="code", missing=True),)


def fit(spec: Category, feature: Feature) -> Map:
    """The levels of the training rows."""
    return Map({"levels": seen_levels(feature, spec.min_count)})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Look up."""
    values = positions(feature, state_levels(state))
    return (Feature(name=feature.name, sort="code", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    return (f"{to[0]} = {table_code(state_levels(state))}.get({x}, NAN)",)


PREPARATION = Preparation(
    name="category",
    spec=Category,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
