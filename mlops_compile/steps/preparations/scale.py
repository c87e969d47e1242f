"""Scale: numbers brought to a common size, by what the training rows hold."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations.columns import mapped, number, numbers
from mlops_compile.steps.preparations.kind import (
    Feature,
    Preparation,
    Shape,
    Sort,
    Unfit,
    known_numbers,
)
from mlops_compile.steps.preparations.rows import normal_of, share_of

if TYPE_CHECKING:
    from mlops_compile.steps.preparations.columns import Array

_OF_KIND = {
    "quantile_range": "robust",
    "feature_range": "minmax",
    "n_quantiles": "quantile",
    "output": "quantile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Numbers to a common size; missing stays missing.

    `standard` and `robust` subtract a center and divide by a spread (a constant column is only
    shifted); `minmax` lets the training rows fill a range, and other rows may lie outside of it;
    `quantile` gives the share of training rows below the value, rows beyond them 0 and 1.
    """

    kind: str = key(
        "standard: mean and deviation; robust: median and a range of quantiles; minmax; quantile",
        default="standard",
        choices=("standard", "robust", "minmax", "quantile"),
    )
    quantile_range: tuple[float, ...] = key(
        "robust: the spread is between these two, in percent", default=(25.0, 75.0), low=0, high=100
    )
    feature_range: tuple[float, ...] = key(
        "minmax: where the least and the greatest training value go", default=(0.0, 1.0)
    )
    n_quantiles: int = key(
        "quantile: how many are kept, at most one a training row", default=1000, low=2
    )
    output: str = key(
        "quantile: uniform in [0, 1], or normal deviates",
        default="uniform",
        choices=("uniform", "normal"),
    )


def shapes(spec: Scale, shape: Shape) -> tuple[Shape, ...]:
    """A number, missing where it was."""
    return (Shape(sort="numeric", missing=shape.missing),)


def unfit(spec: Scale, sort: Sort) -> Unfit | None:
    """Options of another kind; ranges that are none."""
    usual = Scale()
    for option, kind in _OF_KIND.items():
        if spec.kind != kind and getattr(spec, option) != getattr(usual, option):
            message = f"is for the kind {kind}, and this one is {spec.kind}"
            return Unfit(option=option, message=message, hint=f"leave it out, or set kind: {kind}")
    for option in ("quantile_range", "feature_range"):
        ends = getattr(spec, option)
        if len(ends) != 2 or ends[0] >= ends[1]:
            message = "must be two numbers, the lower first"
            hint = f"for example {option}: {[f'{end:g}' for end in getattr(usual, option)]}"
            return Unfit(option=option, message=message, hint=hint.replace("'", ""))
    return None


def fit(spec: Scale, feature: Feature) -> Map:
    """What to subtract, divide or look up. StepError where all training values are missing."""
    known = known_numbers("scale", feature, "scale by")
    return _FITS[spec.kind](spec, known, len(feature.values))


def _standard(spec: Scale, known: Array, rows: int) -> Map:
    """As StandardScaler, which takes a deviation that is all rounding for none."""
    import numpy as np

    mean, variance = np.mean(known), np.var(known)
    epsilon, count = np.finfo("float64").eps, len(known)
    rounding = count * epsilon * variance + (count * mean * epsilon) ** 2
    constant = np.isfinite(variance) and variance <= rounding
    return Map({"center": float(mean), "scale": 1.0 if constant else float(np.sqrt(variance))})


def _robust(spec: Scale, known: Array, rows: int) -> Map:
    """As RobustScaler."""
    import numpy as np

    low, high = np.percentile(known, spec.quantile_range).tolist()
    return Map({"center": float(np.median(known)), "scale": _spread(high - low)})


def _minmax(spec: Scale, known: Array, rows: int) -> Map:
    """As MinMaxScaler, which multiplies and adds."""
    import numpy as np

    low, high = spec.feature_range
    least = float(np.min(known))
    factor = (high - low) / _spread(float(np.max(known)) - least)
    return Map({"factor": factor, "term": low - least * factor})


def _spread(spread: float) -> float:
    """1 for one that is no more than rounding, as scikit-learn has it."""
    return 1.0 if spread < 10 * 2.220446049250313e-16 else spread


def _quantile(spec: Scale, known: Array, rows: int) -> Map:
    """As QuantileTransformer with `subsample=None`: no row is left out."""
    import numpy as np

    shares = np.linspace(0, 1, min(spec.n_quantiles, rows))
    quantiles = np.maximum.accumulate(np.percentile(known, shares * 100))
    if not np.isfinite(quantiles[-1] - quantiles[0]):
        quantiles = quantiles * np.nan  # which no state can hold: the step says so
    found: dict[str, Value] = {
        "output": spec.output,
        "quantiles": tuple(quantiles.tolist()),
        "shares": tuple(shares.tolist()),
    }
    return Map(found)


_FITS: Mapping[str, Callable[[Scale, Array, int], Map]] = {
    "standard": _standard,
    "robust": _robust,
    "minmax": _minmax,
    "quantile": _quantile,
}


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Subtract, then divide (a product with 1/scale would round otherwise); or what the state has
    instead."""
    import numpy as np

    values = np.asarray(feature.values)
    if "center" in state:
        made = (values - state["center"]) / state["scale"]  # type: ignore[operator]
    elif "factor" in state:
        made = values * state["factor"] + state["term"]  # type: ignore[operator]
    else:
        function = normal_of if state["output"] == "normal" else share_of
        xs, ys = numbers(state["quantiles"]), numbers(state["shares"])
        made = mapped(partial(function, xs=xs, ys=ys), values)
    return (Feature(name=feature.name, sort="numeric", values=made),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    if "center" in state:
        return (f"{to[0]} = ({x} - {number(state['center'])}) / {number(state['scale'])}",)
    if "factor" in state:
        return (f"{to[0]} = {x} * {number(state['factor'])} + {number(state['term'])}",)
    function = "normal_of" if state["output"] == "normal" else "share_of"
    tables = f"{numbers(state['quantiles'])!r}, {numbers(state['shares'])!r}"
    return (f"{to[0]} = {function}({x}, {tables})",)


PREPARATION = Preparation(
    name="scale",
    spec=Scale,
    accepts=("numeric", "boolean"),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
    platform=lambda spec: bool(spec.output == "normal"),
)
