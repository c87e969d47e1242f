"""Conditions on rows: comparisons of one column with a constant, as texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_compile.steps.preparations.since import moment

if TYPE_CHECKING:
    import numpy as np

    from mlops_compile.steps.preparations.kind import Feature

Constant = float | str | bool
COMPARISONS: Mapping[str, str] = {
    "==": "equal",
    "!=": "not_equal",
    "<=": "less_equal",
    ">=": "greater_equal",
    "<": "less",
    ">": "greater",
}
FORMS = (
    "write a column, a comparison and a constant: \"age > 17\", \"city in ['Rome', 'Oslo']\","
    ' "fare is not missing"'
)
_QUOTED = r"'[^']*'|\"[^\"]*\""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONSTANT = re.compile(rf"\s*(?:(?P<text>{_QUOTED})|(?P<number>{_NUMBER})|(?P<flag>true|false))\s*")
_FORM = re.compile(
    rf"\s*(?P<column>{_QUOTED}|[^\W\d][\w.-]*)\s*"
    r"(?:(?P<sign>==|!=|<=|>=|<|>)(?P<constant>.*)"
    r"|\s(?P<inside>in|not\s+in)\s*\[(?P<list>.*)\]"
    r"|\sis\s+(?P<missing>missing|not\s+missing))\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition as it is written. `op` is a comparison, `in`, `not in`, `missing` or
    `not missing`; a missing value meets none but `missing`."""

    text: str
    column: str
    op: str
    constants: tuple[Constant, ...] = ()


def condition(text: str) -> Condition | None:
    """The condition of a text; None where it is none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    column = found["column"][1:-1] if found["column"][0] in "'\"" else found["column"]
    if found["missing"]:
        return Condition(text=text, column=column, op=" ".join(found["missing"].split()))
    constants = _constants(found["list"] if found["inside"] else found["constant"])
    if constants is None or (found["sign"] and len(constants) != 1):
        return None
    op = found["sign"] or " ".join(found["inside"].split())
    return Condition(text=text, column=column, op=op, constants=constants)


def _constants(text: str) -> tuple[Constant, ...] | None:
    """Constants with commas between them; None where that is not what the text holds."""
    found: list[Constant] = []
    place = 0
    while match := _CONSTANT.match(text, place):
        if match["text"]:
            found.append(match["text"][1:-1])
        else:
            found.append(float(match["number"]) if match["number"] else match["flag"] == "true")
        place = match.end()
        if place == len(text):
            return tuple(found)
        if text[place] != ",":
            return None
        place += 1
    return None


def unfit_constant(wanted: Condition, sort: str) -> str:
    """Why a condition cannot be put to a type of column; empty where it can."""
    if wanted.op in ("missing", "not missing"):
        return ""
    if sort in ("categorical", "boolean") and wanted.op in ("<", "<=", ">", ">="):
        return f"{sort} values have no order: compare them with ==, != or in"
    needed: Mapping[str, tuple[type, str]] = {
        "numeric": (float, "a number"),
        "boolean": (bool, "true or false"),
        "categorical": (str, "a text in quotes"),
        "datetime": (str, "a date in quotes"),
    }
    kind, name = needed[sort]
    for constant in wanted.constants:
        if type(constant) is not kind:
            return f"{sort} values are compared with {name}, not with {_shown(constant)}"
        if sort == "datetime" and moment(str(constant)) is None:
            return f"{constant!r} is no date (ISO 8601: 2024-01-31, or 2024-01-31T12:00:00)"
    return ""


def _shown(constant: Constant) -> str:
    if isinstance(constant, bool):
        return str(constant).lower()
    return f"{constant:g}" if isinstance(constant, float) else f"the text {constant!r}"


def meets(wanted: Condition, feature: Feature) -> np.ndarray[Any, Any]:
    """Which rows meet a condition."""
    import numpy as np
    import pandas as pd

    missing: np.ndarray[Any, Any] = np.asarray(pd.isna(feature.values))
    if wanted.op in ("missing", "not missing"):
        return missing if wanted.op == "missing" else ~missing
    values, constants = _comparable(feature, wanted.constants)
    met: np.ndarray[Any, Any]
    if wanted.op in ("in", "not in"):
        met = np.isin(values, constants) == (wanted.op == "in")
    else:
        met = getattr(np, COMPARISONS[wanted.op])(values, constants[0])
    met &= ~missing
    return met


def _comparable(feature: Feature, constants: tuple[Constant, ...]) -> tuple[Any, Any]:
    """Values and constants as numbers: levels by their place, times in microseconds."""
    import numpy as np

    values: Any = feature.values
    if feature.sort == "categorical":
        place = {str(level): n for n, level in enumerate(values.categories)}
        # a text that no row holds is at no place, and so no text of the data is equal to it
        return values.codes, np.array([place.get(str(text), -2) for text in constants])
    if feature.sort == "datetime":
        times = [moment(str(text)) or datetime.min for text in constants]
        return np.asarray(values), np.array(times, dtype="datetime64[us]")
    return np.asarray(values), np.array([float(constant) for constant in constants])
