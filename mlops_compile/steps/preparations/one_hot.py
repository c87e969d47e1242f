"""One-hot: one feature a level, 1 where the row has it."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort
from mlops_compile.steps.preparations.levels import (
    level_counts,
    positions,
    seen_levels,
    state_levels,
)

MOST = 1000  # levels of a column: each is eight bytes a row, in training and in every request


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHot:
    """Missing, unseen and rare levels are 0 in every feature, and so is a dropped one."""

    min_count: int = key("rows of the training part a level must stand in", default=1, low=1)
    max_levels: int | None = key(
        "how many levels have a feature: the most frequent, of equals the first in order",
        default=None,
        low=1,
    )
    drop: str = key(
        "the level without a feature: none; first (in code point order); if_binary: first of two",
        default="none",
        choices=("none", "first", "if_binary"),
    )


def shapes(spec: OneHot, shape: Shape) -> tuple[Shape, ...]:
    """Numbers, never missing (how many is known after fitting)."""
    return (Shape(sort="numeric", missing=False),)


def fit(spec: OneHot, feature: Feature) -> Map:
    """The levels of the training rows that have a feature; StepError for more than there can be."""
    levels = seen_levels(feature, spec.min_count)
    if spec.max_levels is not None:
        counts = level_counts(feature)
        usual = sorted(levels, key=lambda level: (-counts[level], level))
        levels = tuple(sorted(usual[: spec.max_levels]))
    if spec.drop == "first" or (spec.drop == "if_binary" and len(levels) == 2):
        levels = levels[1:]
    if len(levels) > MOST:
        message = f"one_hot would make {len(levels)} features, and {MOST} is the most"
        hint = "leave rare levels out with min_count or max_levels, or take category or ordinal"
        where = ("data", "columns", feature.name)
        raise StepError([problem("preparation", message, where, hint)])
    return Map({"levels": levels})


def outputs(name: str, state: Map) -> tuple[str, ...]:
    """A name a level."""
    return tuple(f"{name}={level}" for level in state_levels(state))


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Compare."""
    found = positions(feature, state_levels(state))
    return tuple(
        Feature(name=name, sort="numeric", values=(found == position).astype("float64"))
        for position, name in enumerate(outputs(feature.name, state))
    )


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    levels = state_levels(state)
    return tuple(
        f"{name} = 1.0 if {x} == {level!r} else 0.0" for name, level in zip(to, levels, strict=True)
    )


PREPARATION = Preparation(
    name="one_hot",
    spec=OneHot,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=outputs,
    apply=apply,
    code=code,
    counted=False,
)
