"""Hashed: texts become one of so many buckets, without a table of levels."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import retold
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort
from mlops_compile.steps.preparations.rows import bucket_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """A text's bucket, by its CRC-32, as a text for another preparation; levels may share one.

    An unseen level has its bucket too, which is unseen where no training row lies in it; missing
    stays missing.
    """

    buckets: int = key("how many", default=32, low=2)


def shapes(spec: Hashed, shape: Shape) -> tuple[Shape, ...]:
    """A text, missing where it was."""
    return (shape,)


def fit(spec: Hashed, feature: Feature) -> Map:
    """Nothing is learned."""
    return Map({"buckets": spec.buckets})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Hash each level."""
    buckets = state["buckets"]
    assert isinstance(buckets, int)
    values = retold(lambda level: bucket_of(level, buckets), feature)
    return (Feature(name=feature.name, sort="categorical", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    return (f"{to[0]} = None if {x} is None else bucket_of({x}, {state['buckets']})",)


PREPARATION = Preparation(
    name="hashed",
    spec=Hashed,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
