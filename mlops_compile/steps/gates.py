"""Gates: what measured numbers must reach, as text, and which numbers those are."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mlops_compile.ir.value import KeyPath, Map, Value

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
# A comparison with a number, or with the baseline's number plus, less or times another; as JSON
# Schema takes it too.
GATE = (
    rf"^\s*(>=|<=|>|<)\s*(?:({_NUMBER})"
    rf"|baseline(?:\s*([-+*])\s*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))?)\s*$"
)
_GATE = re.compile(GATE)
PARTS = ("validation", "train", "segments", "calibration", "folds")
BOUNDS = ("value", "low", "high")
# What of the folds of a cross-validation: the first is meant where none is named.
FOLDED = ("mean", "deviation", "each")
CALIBRATION = ("ece", "brier")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A comparison with a number, or with the baseline's, changed by `change` (+, -, *)."""

    sign: str
    number: float
    baseline: bool = False
    change: str = ""

    def __str__(self) -> str:
        if not self.baseline:
            return f"{self.sign} {self.number!r}"
        return f"{self.sign} baseline" + (f" {self.change} {self.number!r}" if self.change else "")

    def limit(self, baseline: float | None = None) -> float:
        """The number to compare with."""
        if not self.baseline:
            return self.number
        assert baseline is not None
        match self.change:
            case "+":
                return baseline + self.number
            case "-":
                return baseline - self.number
            case "*":
                return baseline * self.number
        return baseline

    def holds(self, value: float, baseline: float | None = None) -> bool:
        return _COMPARE[self.sign](value, self.limit(baseline))


def bound_of(text: Value) -> Bound | None:
    """The comparison of a text; None if it is none."""
    match = _GATE.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    sign, number, change, other = match.groups()
    return Bound(
        sign=sign,
        number=float(number or other or 0),
        baseline=number is None,
        change=change or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A bound on a metric of a part (test, or one of PARTS), on its value or on the low or high end
    of its interval; of a column's level, or of all its levels; of the folds, on one of FOLDED."""

    where: KeyPath
    part: str
    metric: str
    bound: Bound
    end: str = "value"
    column: str = ""
    level: str | None = None


def gates_of(settled: Map) -> Iterator[Gate]:
    """Every gate of a checked `evaluate.gates`."""
    for name, item in settled.items():
        where = ("evaluate", "gates", name)
        match name:
            case "segments":
                for column, gates in _maps(item):
                    yield from _of_segments(column, gates, (*where, column))
            case "validation" | "train" | "calibration":
                assert isinstance(item, Map)
                for metric, text in item.items():
                    yield _gate((*where, metric), name, metric, text)
            case "folds":
                assert isinstance(item, Map)
                for metric, own in item.items():
                    yield from _of_ends(own, (*where, metric), name, metric, FOLDED[0])
            case _:
                yield from _of_ends(item, where, "test", name, BOUNDS[0])


def _of_ends(item: Value, where: KeyPath, part: str, metric: str, usual: str) -> Iterator[Gate]:
    """The gate of a text, on what is usual; or each of a map."""
    if not isinstance(item, Map):
        yield _gate(where, part, metric, item, end=usual)
        return
    for end, text in item.items():
        yield _gate((*where, end), part, metric, text, end=end)


def _of_segments(column: str, gates: Map, where: KeyPath) -> Iterator[Gate]:
    for metric, item in gates.items():
        if metric != "levels":
            yield _gate((*where, metric), "segments", metric, item, column=column)
            continue
        for level, own in _maps(item):
            for name, text in own.items():
                path = (*where, "levels", level, name)
                yield _gate(path, "segments", name, text, column=column, level=level)


def _gate(
    where: KeyPath,
    part: str,
    metric: str,
    text: Value,
    *,
    end: str = "value",
    column: str = "",
    level: str | None = None,
) -> Gate:
    bound = bound_of(text)
    assert bound is not None
    return Gate(
        where=where, part=part, metric=metric, bound=bound, end=end, column=column, level=level
    )


def _maps(value: Value) -> Iterator[tuple[str, Map]]:
    assert isinstance(value, Map)
    for name, item in value.items():
        assert isinstance(item, Map)
        yield name, item
