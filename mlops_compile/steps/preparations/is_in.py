"""Is in: whether a value is one of some."""

# numpy is imported inside `apply`: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import numbers, of_levels
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class IsIn:
    """A boolean: 1 for the stated values, 0 for all others, seen or not; missing stays missing."""

    values: tuple[float | str, ...] = key("the values, texts or numbers as the column holds")


def shapes(spec: IsIn, shape: Shape) -> tuple[Shape, ...]:
    """A boolean, missing where the value is."""
    return (Shape(sort="boolean", missing=shape.missing),)


def unfit(spec: IsIn, sort: Sort) -> Unfit | None:
    """No value, one twice, or one of another type."""
    what = "texts" if sort == "categorical" else "numbers"
    example = '["yes", "y"]' if sort == "categorical" else "[1, 2]"
    if not spec.values:
        hint = f"for example values: {example}"
        return Unfit(option="values", message="must hold a value", hint=hint)
    for value in spec.values:
        if isinstance(value, str) != (sort == "categorical"):
            message = f"must be {what} for {sort} values, not {value!r}"
            hint = f"for example values: {example}"
            return Unfit(option="values", message=message, hint=hint)
        if spec.values.count(value) > 1:
            return Unfit(option="values", message=f"holds {value!r} twice", hint="name each once")
    return None


def fit(spec: IsIn, feature: Feature) -> Map:
    """Nothing is learned."""
    return Map({"values": spec.values})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Compare."""
    import numpy as np

    listed = state["values"]
    assert isinstance(listed, tuple)
    if feature.sort == "categorical":
        made = of_levels(lambda level: float(level in listed), feature, float("nan"))
    else:
        values = np.asarray(feature.values)
        found = np.isin(values, np.array(numbers(listed))).astype("float64")
        made = np.where(np.isnan(values), np.nan, found)
    return (Feature(name=feature.name, sort="boolean", values=made),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    listed = state["values"]
    assert isinstance(listed, tuple)
    missing = f"{x} is None" if sort == "categorical" else f"{x} != {x}"
    return (f"{to[0]} = NAN if {missing} else float({x} in {listed!r})",)


PREPARATION = Preparation(
    name="is_in",
    spec=IsIn,
    accepts=("numeric", "categorical"),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
)
