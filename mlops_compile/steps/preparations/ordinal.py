"""Ordinal: levels become their position in a stated order, a number."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.category import code
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit
from mlops_compile.steps.preparations.levels import positions, seen_levels, state_levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordinal:
    """Positions from 0; missing and unseen levels are missing."""

    order: tuple[str, ...] = key(
        "the levels in order; left empty, those of the training part in code point order",
        default=(),
    )


def shapes(spec: Ordinal, shape: Shape) -> tuple[Shape, ...]:
    """A number; unseen levels are missing."""
    return (Shape(sort="numeric", missing=True),)


def unfit(spec: Ordinal, sort: Sort) -> Unfit | None:
    """A level that stands in the order twice."""
    for level in spec.order:
        if spec.order.count(level) > 1:
            message = f"holds {level!r} twice"
            return Unfit(option="order", message=message, hint="name each level once")
    return None


def fit(spec: Ordinal, feature: Feature) -> Map:
    """The levels in order."""
    return Map({"levels": spec.order or seen_levels(feature)})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Look up."""
    values = positions(feature, state_levels(state))
    return (Feature(name=feature.name, sort="numeric", values=values),)


PREPARATION = Preparation(
    name="ordinal",
    spec=Ordinal,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
)
