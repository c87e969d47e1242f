"""Drop: the column is no feature of the model."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import SORTS, Feature, Preparation, Shape, Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """No feature is made; `prepare.derive` may take the column all the same."""


def shapes(spec: Drop, shape: Shape) -> tuple[Shape, ...]:
    """Nothing."""
    return ()


def fit(spec: Drop, feature: Feature) -> Map:
    """Nothing is learned."""
    return Map()


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Nothing."""
    return ()


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """Nothing."""
    return ()


PREPARATION = Preparation(
    name="drop",
    spec=Drop,
    accepts=SORTS,
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (),
    apply=apply,
    code=code,
)
