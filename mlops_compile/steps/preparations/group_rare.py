"""Group rare: levels that are rare in the training rows become one level."""

# pandas is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.preparations.columns import retold
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort
from mlops_compile.steps.preparations.levels import level_counts, state_levels


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRare:
    """Rare and unseen levels become one level, which may be among those that there are; missing
    stays missing."""

    min_count: int = key("training rows a level must stand in", default=1, low=1)
    min_share: float = key(
        "share of the training rows a level must stand in", default=0.0, low=0, high=1
    )
    max_levels: int | None = key(
        "how many levels are kept: the most frequent, of equals the first in code point order",
        default=None,
        low=1,
    )
    level: str = key("what the others become", default="other", filled=True)


def shapes(spec: GroupRare, shape: Shape) -> tuple[Shape, ...]:
    """A text, missing where it was."""
    return (shape,)


def fit(spec: GroupRare, feature: Feature) -> Map:
    """The levels that are kept."""
    least = max(spec.min_count, spec.min_share * len(feature.values))
    kept = {level: n for level, n in level_counts(feature).items() if n >= least}
    if spec.max_levels is not None:
        kept = dict(sorted(kept.items(), key=lambda item: (-item[1], item[0]))[: spec.max_levels])
    found: dict[str, Value] = {
        "levels": tuple(sorted({*kept} - {spec.level})),
        "other": spec.level,
    }
    return Map(found)


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Keep, or replace."""
    kept, other = {*state_levels(state)}, str(state["other"])
    values = retold(lambda level: level if level in kept else other, feature)
    return (Feature(name=feature.name, sort="categorical", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    table = "{" + ", ".join(f"{level!r}: {level!r}" for level in state_levels(state)) + "}"
    return (f"{to[0]} = None if {x} is None else {table}.get({x}, {state['other']!r})",)


PREPARATION = Preparation(
    name="group_rare",
    spec=GroupRare,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
