"""Bins: numbers become the number of the interval that they lie in."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations.columns import numbers
from mlops_compile.steps.preparations.kind import (
    Feature,
    Preparation,
    Shape,
    Sort,
    Unfit,
    known_numbers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The number of edges between bins that are at most the value, from 0; missing stays missing.

    Values beyond those of the training rows are in the first or the last bin.
    """

    kind: str = key(
        "quantile: as many training rows in each; uniform: each as wide; edges: as given",
        default="quantile",
        choices=("quantile", "uniform", "edges"),
    )
    bins: int = key("how many; fewer where quantiles are the same", default=5, low=2)
    edges: tuple[float, ...] = key(
        "the edges between bins, for the kind edges: [18, 65] makes three bins", default=()
    )
    result: str = key(
        "number, or category: texts for another preparation, for example one_hot",
        default="number",
        choices=("number", "category"),
    )


def shapes(spec: Bins, shape: Shape) -> tuple[Shape, ...]:
    """A number or a text, missing where it was."""
    sort: Sort = "categorical" if spec.result == "category" else "numeric"
    return (Shape(sort=sort, missing=shape.missing),)


def unfit(spec: Bins, sort: Sort) -> Unfit | None:
    """Edges that are none, or where none are asked for."""
    if spec.kind != "edges":
        if not spec.edges:
            return None
        message = f"is for the kind edges, and this one is {spec.kind}"
        return Unfit(option="edges", message=message, hint="leave it out, or set kind: edges")
    if not spec.edges:
        hint = "for example {bins: {kind: edges, edges: [18, 65]}}"
        return Unfit(option="kind", message="the kind edges needs edges", hint=hint)
    if list(spec.edges) != sorted(set(spec.edges)):
        message = "must ascend, each edge once"
        listed = ", ".join(f"{edge:g}" for edge in sorted(set(spec.edges)))
        return Unfit(option="edges", message=message, hint=f"write edges: [{listed}]")
    return None


def fit(spec: Bins, feature: Feature) -> Map:
    """The edges between bins, as KBinsDiscretizer finds them. StepError where all training values
    are missing."""
    edges = spec.edges or _learned(spec, feature)
    found: dict[str, Value] = {"edges": edges, "result": spec.result}
    return Map(found)


def _learned(spec: Bins, feature: Feature) -> tuple[float, ...]:
    import numpy as np

    known = known_numbers("preparation", feature, "make bins of")
    low, high = float(known.min()), float(known.max())
    if low == high:
        return ()
    if spec.kind == "uniform":
        return tuple(np.linspace(low, high, spec.bins + 1)[1:-1].tolist())
    shares = np.linspace(0, 100, spec.bins + 1)
    found = np.percentile(known, shares, method="averaged_inverted_cdf")
    wide = np.ediff1d(found, to_begin=np.inf) > 1e-8  # as scikit-learn has it
    return tuple(found[wide][1:-1].tolist())


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Count the edges that are at most the value."""
    import numpy as np
    import pandas as pd

    edges = np.array(numbers(state["edges"]), dtype="float64")
    values = np.asarray(feature.values)
    places = np.searchsorted(edges, values, side="right")
    missing = np.isnan(values)
    if state["result"] == "number":
        made = np.where(missing, np.nan, places.astype("float64"))
        return (Feature(name=feature.name, sort="numeric", values=made),)
    levels = pd.Index([str(place) for place in range(len(edges) + 1)], dtype=object)
    texts = pd.Categorical.from_codes(np.where(missing, -1, places), categories=levels)
    return (Feature(name=feature.name, sort="categorical", values=texts),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    edges = repr(numbers(state["edges"]))
    if state["result"] == "number":
        return (f"{to[0]} = bin_of({x}, {edges})",)
    return (f"{to[0]} = str(int(bin_of({x}, {edges}))) if {x} == {x} else None",)


PREPARATION = Preparation(
    name="bins",
    spec=Bins,
    accepts=("numeric",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
    unfit=unfit,
)
