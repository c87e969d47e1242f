"""Applied: a fitted preparation over rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mlops_compile.ir.value import Map
from mlops_compile.steps.derive import FUNCTION, Derived
from mlops_compile.steps.derived import derive
from mlops_compile.steps.preparations.chain import apply_chain
from mlops_compile.steps.preparations.kind import Feature

Function = Callable[..., object]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A column, whether it is derived, and what each of its preparations in turn leaves of it."""

    column: Feature
    derived: bool
    stages: tuple[tuple[str, tuple[Feature, ...]], ...]

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.stages[-1][1] if self.stages else (self.column,)


def applied(
    preparation: Map, columns: Mapping[str, Feature], load: Callable[[str], Function]
) -> list[Prepared]:
    """The columns of a fitted preparation, those among them that are derived last; a column that is
    not given has no feature. StepError where a function of the user's fails; `load` finds it."""
    there = derived_too(preparation, columns, load)
    found = []
    for entry in _maps(preparation, "columns"):
        name, stages = str(entry["name"]), entry["stages"]
        assert isinstance(stages, tuple)
        if name in there:
            made = tuple(apply_chain(stages, there[name]))
            found.append(Prepared(column=there[name], derived=name not in columns, stages=made))
    return found


def derived_too(
    preparation: Map, columns: Mapping[str, Feature], load: Callable[[str], Function]
) -> dict[str, Feature]:
    """The columns, and those that are derived from them."""
    found = {**columns}
    for entry in _maps(preparation, "derived"):
        name, spec = str(entry["name"]), _spec(entry)
        function = load(spec.function) if spec.function else None
        found[name] = derive(name, spec, found, function, hidden=True)
    return found


def matrix(prepared: list[Prepared]) -> Array:
    """Rows x features, as a model takes them."""
    values = [np.asarray(feature.values) for column in prepared for feature in column.features]
    return np.column_stack(values).astype("float64", copy=False)


def _spec(entry: Map) -> Derived:
    """How a column is derived, from what the fitted preparation says of it."""
    kind, inputs = str(entry["kind"]), cast(tuple[str, ...], entry["inputs"])
    if kind == FUNCTION:
        own = {"function": str(entry["function"]), "inputs": inputs, "type": str(entry["sort"])}
    else:
        own = {kind: inputs} | ({"unit": str(entry["unit"])} if "unit" in entry else {})
    return Derived(**own)  # type: ignore[arg-type]  # of a dictionary


def _maps(preparation: Map, key: str) -> tuple[Map, ...]:
    return cast(tuple[Map, ...], preparation.get(key, ()))
