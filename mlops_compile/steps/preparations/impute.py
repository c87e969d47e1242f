"""Impute: a stated value in place of a missing one."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort, Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Impute:
    """What stands for a missing value: learned from the training rows, or a constant."""

    strategy: str = key(
        "mean, median (numbers), most_frequent, or constant",
        default="median",
        choices=("mean", "median", "most_frequent", "constant"),
    )
    value: float | str | None = key("the constant", default=None)
    indicator: bool = key("add a feature that is 1 where the value was missing", default=False)


def shapes(spec: Impute, shape: Shape) -> tuple[Shape, ...]:
    """The same sort without missing values, and the indicator."""
    done = Shape(sort=shape.sort, missing=False)
    return (done, Shape(sort="numeric", missing=False)) if spec.indicator else (done,)


def unfit(spec: Impute, sort: Sort) -> Unfit | None:
    """A mean of texts; a constant that is missing, of another type, or of no use."""
    if spec.strategy == "mean" and sort == "categorical":
        message = f"{sort} values have no mean"
        return Unfit(option="strategy", message=message, hint="take most_frequent or constant")
    what = "a text" if sort == "categorical" else "a number"
    usual = "unknown" if sort == "categorical" else "0"
    if spec.strategy != "constant":
        if spec.value is None:
            return None
        message = f"is for the strategy constant, and this one is {spec.strategy}"
        hint = "leave it out, or set strategy: constant"
        return Unfit(option="value", message=message, hint=hint)
    if spec.value is None:
        message = f"the strategy constant needs a value: {what} for {sort} values"
        hint = f"for example {{impute: {{strategy: constant, value: {usual}}}}}"
        return Unfit(option="strategy", message=message, hint=hint)
    if isinstance(spec.value, str) != (sort == "categorical"):
        message = f"must be {what} for {sort} values, not {spec.value!r}"
        quoted = f'"{spec.value:g}"' if isinstance(spec.value, float) else usual
        return Unfit(option="value", message=message, hint=f"for example value: {quoted}")
    return None


def fit(spec: Impute, feature: Feature) -> Map:
    """The value that fills in. StepError where the training rows have none to learn from."""
    return Map({"fill": _fill(spec, feature), "indicator": spec.indicator})


def _fill(spec: Impute, feature: Feature) -> float | str:
    import numpy as np

    if spec.strategy == "constant":
        assert spec.value is not None  # `unfit` is asked before
        return spec.value
    if feature.sort == "categorical":
        codes = feature.values.codes  # type: ignore[union-attr]
        counts = np.bincount(codes[codes >= 0], minlength=1)
        if counts.max() == 0:
            raise _nothing(feature)
        return str(feature.values.categories[int(counts.argmax())])  # type: ignore[union-attr]
    values = np.asarray(feature.values)
    known = values[~np.isnan(values)]
    if not len(known):
        raise _nothing(feature)
    match spec.strategy:
        case "mean":
            return float(np.mean(known))
        case "median":
            return float(np.median(known))
        case _:
            levels, counts = np.unique(known, return_counts=True)
            return float(levels[counts.argmax()])


def _nothing(feature: Feature) -> StepError:
    message = "all values of the training part are missing, so there is nothing to impute from"
    hint = "use {impute: {strategy: constant, value: ...}}, or set the column's role to ignore"
    return StepError([problem("impute", message, ("data", "columns", feature.name), hint)])


def outputs(name: str, state: Map) -> tuple[str, ...]:
    """The feature, and its indicator."""
    return (name, f"{name}:missing") if state["indicator"] else (name,)


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Fill in."""
    import numpy as np
    import pandas as pd

    fill: Any = state["fill"]
    filled: Any
    if feature.sort == "categorical":
        values = feature.values
        assert isinstance(values, pd.Categorical)
        missing = values.codes < 0
        if fill not in values.categories:
            values = values.add_categories([fill])
        place: Any = values.categories.get_loc(fill)
        codes = np.where(missing, place, values.codes)
        filled = pd.Categorical.from_codes(codes, dtype=values.dtype)
    else:
        missing = np.isnan(np.asarray(feature.values))
        filled = np.where(missing, fill, feature.values)
    names = outputs(feature.name, state)
    done = Feature(name=names[0], sort=feature.sort, values=filled)
    if not state["indicator"]:
        return (done,)
    flag = Feature(name=names[1], sort="numeric", values=missing.astype("float64"))
    return done, flag


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    test = f"{x} is None" if sort == "categorical" else f"{x} != {x}"
    lines = [f"{to[0]} = {state['fill']!r} if {test} else {x}"]
    if state["indicator"]:
        lines.insert(0, f"{to[1]} = 1.0 if {test} else 0.0")
    return tuple(lines)


PREPARATION = Preparation(
    name="impute",
    spec=Impute,
    accepts=("numeric", "boolean", "categorical"),
    shapes=shapes,
    fit=fit,
    outputs=outputs,
    apply=apply,
    code=code,
    unfit=unfit,
)
