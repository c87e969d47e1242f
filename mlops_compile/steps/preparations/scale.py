"""Scale: numbers to mean 0 and deviation 1 over the training rows."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How to scale."""

    kind: str = key(
        "standard: subtract the mean, divide by the deviation",
        default="standard",
        choices=("standard",),
    )


def shapes(spec: Scale, shape: Shape) -> tuple[Shape, ...]:
    """A number, missing where it was."""
    return (Shape(sort="numeric", missing=shape.missing),)


def fit(spec: Scale, feature: Feature) -> Map:
    """Mean and population deviation of the known values; a constant column is left as it is."""
    import numpy as np

    values = np.asarray(feature.values)
    known = values[~np.isnan(values)]
    if not len(known):
        message = "all values of the training part are missing, so there is nothing to scale by"
        raise StepError([problem("scale", message, ("data", "columns", feature.name))])
    deviation = float(np.std(known))
    return Map({"center": float(np.mean(known)), "scale": deviation if deviation > 0 else 1.0})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Subtract, then divide (a product with 1/scale would round otherwise)."""
    import numpy as np

    values = (np.asarray(feature.values) - state["center"]) / state["scale"]  # type: ignore[operator]
    return (Feature(name=feature.name, sort="numeric", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    return (f"{to[0]} = ({x} - {_number(state['center'])}) / {_number(state['scale'])}",)


def _number(value: object) -> str:
    return f"({value!r})" if isinstance(value, float) and value < 0 else repr(value)


PREPARATION = Preparation(
    name="scale",
    spec=Scale,
    accepts=("numeric", "boolean"),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
