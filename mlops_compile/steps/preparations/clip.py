"""Clip: numbers beyond two bounds become the bounds."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import number
from mlops_compile.steps.preparations.kind import (
    Feature,
    Preparation,
    Shape,
    Sort,
    Unfit,
    known_numbers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Numbers below `low` become it, those above `high` too; missing stays missing.

    With `quantiles` the bounds are those of the training rows (numpy's linear quantiles).
    """

    low: float | None = key("the lower bound", default=None)
    high: float | None = key("the upper bound", default=None)
    quantiles: tuple[float, ...] = key(
        "two shares, for example [0.01, 0.99], in place of bounds", default=(), low=0, high=1
    )


def shapes(spec: Clip, shape: Shape) -> tuple[Shape, ...]:
    """A number, missing where it was."""
    return (Shape(sort="numeric", missing=shape.missing),)


def unfit(spec: Clip, sort: Sort) -> Unfit | None:
    """No bound, bounds of two sorts, or in the wrong order."""
    bounds = [bound for bound in (spec.low, spec.high) if bound is not None]
    if not bounds and not spec.quantiles:
        message = "needs a bound"
        return Unfit(option="low", message=message, hint="for example {clip: {low: 0, high: 100}}")
    if spec.quantiles and bounds:
        hint = "keep the quantiles, or low and high"
        return Unfit(option="quantiles", message="stand in place of low and high", hint=hint)
    ends = spec.quantiles or tuple(bounds)
    if spec.quantiles and len(ends) != 2:
        hint = "for example quantiles: [0.01, 0.99]"
        return Unfit(option="quantiles", message="must be two shares", hint=hint)
    if len(ends) == 2 and ends[0] >= ends[1]:
        option = "quantiles" if spec.quantiles else "high"
        message = "the upper bound must be above the lower one"
        return Unfit(option=option, message=message, hint="exchange the two")
    return None


def fit(spec: Clip, feature: Feature) -> Map:
    """The bounds. StepError where quantiles are asked for and all training values are missing."""
    import numpy as np

    if not spec.quantiles:
        return Map({"low": spec.low, "high": spec.high})
    known = known_numbers("preparation", feature, "take quantiles of")
    low, high = np.quantile(known, spec.quantiles).tolist()
    return Map({"low": low, "high": high})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Compare with each bound."""
    import numpy as np

    low: Any = state["low"]
    high: Any = state["high"]
    values: Any = np.asarray(feature.values)
    if high is not None:
        values = np.where(values > high, high, values)
    if low is not None:
        values = np.where(values < low, low, values)
    return (Feature(name=feature.name, sort="numeric", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    low, high = state["low"], state["high"]
    made = x
    if high is not None:
        made = f"{number(high)} if {x} > {number(high)} else {made}"
    if low is not None:
        made = f"{number(low)} if {x} < {number(low)} else {made}"
    return (f"{to[0]} = {made}",)


PREPARATION = Preparation(
    name="clip",
    spec=Clip,
    accepts=("numeric",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
)
