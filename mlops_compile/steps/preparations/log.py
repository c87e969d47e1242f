"""Log: the logarithm of numbers, with a stated meaning where there is none."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import mapped, number
from mlops_compile.steps.preparations.kind import (
    Feature,
    Preparation,
    Shape,
    Sort,
    known_numbers,
)
from mlops_compile.steps.preparations.rows import log1p_of, log_of

_LEAST = {"log1p": -1.0, "log": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The natural logarithm of the value plus `offset`, or of 1 and both; missing stays missing.

    A value that has none fails the step where it stands in a training row, and is missing in any
    other, unless `outside` says otherwise.
    """

    kind: str = key(
        "log1p: ln(1 + x + offset); log: ln(x + offset)", default="log1p", choices=("log1p", "log")
    )
    offset: float = key("what is added first", default=0.0)
    outside: str = key(
        "values that have no logarithm: fail (in training rows), missing, or clip (all below the"
        " least training value that has one become it)",
        default="fail",
        choices=("fail", "missing", "clip"),
    )


def shapes(spec: Log, shape: Shape) -> tuple[Shape, ...]:
    """A number; missing where it was, and where there is no logarithm."""
    return (Shape(sort="numeric", missing=shape.missing or spec.outside != "clip"),)


def fit(spec: Log, feature: Feature) -> Map:
    """The least value with a logarithm, where it is needed. StepError for training values without
    one, or without any that has one to clip to."""
    known = known_numbers("preparation", feature, "take logarithms of")
    state: dict[str, Any] = {"kind": spec.kind, "offset": spec.offset, "least": None}
    inside = known[known + spec.offset > _LEAST[spec.kind]]
    where = ("data", "columns", feature.name)
    if spec.outside == "fail" and len(inside) < len(known):
        count = len(known) - len(inside)
        rows = "1 training row has" if count == 1 else f"{count} training rows have"
        least = f", the least is {float(known.min()):g}"
        message = f"{rows} a value without a logarithm{least}"
        hint = "add an offset, or say what they become: {log: {outside: missing}} or clip"
        raise StepError([problem("preparation", message, where, hint, quotes=(least,))])
    if spec.outside == "clip":
        if not len(inside):
            message = "no training value has a logarithm, so there is none to clip to"
            raise StepError([problem("preparation", message, where, "add an offset")])
        state["least"] = float(inside.min())
    return Map(state)


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Once for each distinct value, by the C library as in serving (numpy's own rounds
    otherwise)."""
    import numpy as np

    values: Any = np.asarray(feature.values)
    least: Any = state["least"]
    if least is not None:
        values = np.where(values < least, least, values)
    values = values + state["offset"]
    made = mapped(log1p_of if state["kind"] == "log1p" else log_of, values)
    return (Feature(name=feature.name, sort="numeric", values=made),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    least = state["least"]
    value = x
    if least is not None:
        value = f"({number(least)} if {x} < {number(least)} else {x})"
    return (f"{to[0]} = {state['kind']}_of({value} + {number(state['offset'])})",)


PREPARATION = Preparation(
    name="log",
    spec=Log,
    accepts=("numeric",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    platform=lambda spec: True,
)
