"""Text length: how long a text is."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map
from mlops_compile.steps.preparations.columns import of_levels
from mlops_compile.steps.preparations.kind import Feature, Preparation, Shape, Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLength:
    """Characters (code points), or words (between white space); missing stays missing."""

    of: str = key("characters or words", default="characters", choices=("characters", "words"))


def shapes(spec: TextLength, shape: Shape) -> tuple[Shape, ...]:
    """A number, missing where the text is."""
    return (Shape(sort="numeric", missing=shape.missing),)


def fit(spec: TextLength, feature: Feature) -> Map:
    """Nothing is learned."""
    return Map({"of": spec.of})


def apply(state: Map, feature: Feature) -> tuple[Feature, ...]:
    """Once a level."""
    words = state["of"] == "words"
    values = of_levels(
        lambda level: float(len(level.split()) if words else len(level)), feature, float("nan")
    )
    return (Feature(name=feature.name, sort="numeric", values=values),)


def code(state: Map, sort: Sort, x: str, to: tuple[str, ...]) -> tuple[str, ...]:
    """One row's."""
    counted = f"{x}.split()" if state["of"] == "words" else x
    return (f"{to[0]} = NAN if {x} is None else float(len({counted}))",)


PREPARATION = Preparation(
    name="text_length",
    spec=TextLength,
    accepts=("categorical",),
    shapes=shapes,
    fit=fit,
    outputs=lambda name, state: (name,),
    apply=apply,
    code=code,
)
