"""Derived columns, computed: over the rows of a table, and as code for one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, cast

import numpy as np
import pandas as pd

from mlops_compile.ir.problem import Problem, StepError, problem
from mlops_compile.ir.value import Map
from mlops_compile.steps.derive import FUNCTION, Derived
from mlops_compile.steps.preparations.columns import number
from mlops_compile.steps.preparations.kind import Feature, Sort
from mlops_compile.steps.preparations.rows import flag_from, number_from, text_from, time_from
from mlops_compile.steps.preparations.since import UNITS, column_micros

Function = Callable[..., object]
_RESULTS: Mapping[str, Callable[[object], Any]] = {
    "numeric": number_from,
    "categorical": text_from,
    "boolean": flag_from,
    "datetime": time_from,
}


def derive(
    name: str,
    spec: Derived,
    columns: Mapping[str, Feature],
    function: Function | None,
    hidden: bool = False,
) -> Feature:
    """A new column. StepError where the user's function fails, without what the function says of
    it where columns are sensitive (`hidden`)."""
    taken = [columns[column] for column in spec.columns]
    if spec.kind == FUNCTION:
        assert function is not None
        return _called(name, spec, taken, function, hidden)
    with np.errstate(all="ignore"):
        if taken[0].sort == "datetime":
            first, second = (column_micros(feature.values) for feature in taken)
            values = (first - second) / UNITS[spec.unit]
        else:
            values = _computed(spec.kind, [np.asarray(feature.values) for feature in taken])
    values = np.where(np.isfinite(values), values, np.nan)
    return Feature(name=name, sort="numeric", values=values)


def _computed(kind: str, values: list[Any]) -> Any:
    match kind:
        case "difference":
            return values[0] - values[1]
        case "ratio":
            return np.where(values[1] == 0, np.nan, values[0] / values[1])
        case "product":
            return reduce(np.multiply, values)
        case _:
            return reduce(np.add, values)


def _called(
    name: str, spec: Derived, taken: list[Feature], function: Function, hidden: bool
) -> Feature:
    """Call the user's function row by row."""
    result = _RESULTS[spec.sort]
    found = []
    for row, arguments in enumerate(zip(*(_plain(feature) for feature in taken), strict=True)):
        try:
            found.append(result(function(*arguments)))
        except Exception as error:
            raise StepError([_failed(name, spec, row, error, hidden)]) from None
    sort = cast(Sort, spec.sort)
    if sort == "categorical":
        levels = sorted({text for text in found if text is not None})
        categories = pd.Index(levels, dtype=object)
        texts = pd.Categorical(found, categories=categories)
        return Feature(name=name, sort=sort, values=texts)
    form = "datetime64[us]" if sort == "datetime" else "float64"
    return Feature(name=name, sort=sort, values=np.array(found, dtype=form))


def _plain(feature: Feature) -> list[Any]:
    """The values as Python's own: float, str, bool or datetime, None where missing."""
    values: Any = feature.values
    if feature.sort == "categorical":
        return [None if code < 0 else str(values.categories[code]) for code in values.codes]
    if feature.sort == "datetime":
        return cast(list[Any], np.asarray(values, dtype="datetime64[us]").tolist())
    if feature.sort == "boolean":
        return [bool(value) if value == value else None for value in values.tolist()]
    return [value if value == value else None for value in values.tolist()]


def _failed(name: str, spec: Derived, row: int, error: Exception, hidden: bool) -> Problem:
    message = f"{spec.function} fails at row {row + 1} of the validated table: "
    message += type(error).__name__ if hidden else f"{type(error).__name__}: {error}"
    hint = "a value may be None, where it is missing; give None for what cannot be computed"
    return problem("function-failed", message, ("prepare", "derive", name, "function"), hint)


def derived_code(state: Map, taken: tuple[tuple[str, str], ...], function: str, to: str) -> str:
    """One row's: from variables with their sorts to the variable of the new column. `function` is
    the name that the user's function has in the code."""
    kind, names = str(state["kind"]), [name for name, _ in taken]
    match kind:
        case "function":
            arguments = ", ".join(_argument(name, sort) for name, sort in taken)
            result = _RESULTS[str(state["sort"])].__name__
            name = repr(str(state["function"]))
            return f"{to} = called({name}, {function}, {result}, {arguments})"
        case "difference" if taken[0][1] == "datetime":
            gone = " or ".join(f"{name} is None" for name in names)
            first, second = names
            moved = f"(micros({first}) - micros({second})) / {number(UNITS[str(state['unit'])])}"
            return f"{to} = NAN if {gone} else {moved}"
        case "ratio":
            return f"{to} = ratio({names[0]}, {names[1]})"
    sign = {"difference": " - ", "product": " * ", "sum": " + "}[kind]
    return f"{to} = finite({sign.join(names)})"


def _argument(name: str, sort: str) -> str:
    match sort:
        case "numeric":
            return f"None if {name} != {name} else {name}"
        case "boolean":
            return f"None if {name} != {name} else bool({name})"
        case _:
            return name
