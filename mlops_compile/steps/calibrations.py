"""Calibration, declared: the keys under `model.calibration`; and how a fitted one is applied."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import Map, parse
from mlops_compile.steps.families.trees import logistic

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    Array = np.ndarray[Any, Any]

METHODS = ("platt", "isotonic")
FILE = "calibration.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Probabilities become those that the validation part had; class by class, then normalised."""

    method: str = key("platt (a sigmoid), or isotonic (steps that never fall)", choices=METHODS)


def read_calibration(path: Path) -> Map:
    """A fitted calibration: its method, and a curve a class (of two, the positive one's)."""
    value = parse(path.read_text("utf-8"))
    assert isinstance(value, Map)
    return value


def calibrated(calibration: Map, predicted: Array) -> Array:
    """The calibrated probabilities of the model's (rows x classes); the same sums in the same order
    as in the generated service."""
    import numpy as np

    curves = calibration["curves"]
    assert isinstance(curves, tuple)
    binary = len(curves) == 1
    columns = [predicted[:, 1]] if binary else list(predicted.T)
    made = [_curve(curve, column) for curve, column in zip(curves, columns, strict=True)]
    if binary:
        return np.column_stack([1.0 - made[0], made[0]])
    total = np.zeros(len(predicted))
    for column in made:
        total = total + column
    safe = np.where(total == 0, 1.0, total)
    return np.column_stack([np.where(total == 0, 1.0 / len(made), c / safe) for c in made])


def _curve(curve: Any, values: Array) -> Array:
    import numpy as np

    if "slope" in curve:
        slope, offset = curve["slope"], curve["offset"]
        return np.array([logistic(-(slope * value + offset)) for value in values.tolist()])
    return np.array([interpolated(curve["x"], curve["y"], value) for value in values.tolist()])


def interpolated(x: tuple[float, ...], y: tuple[float, ...], value: float) -> float:
    """y at a value between the points of x, on the line from one to the next; numpy's formula."""
    from bisect import bisect_right

    place = bisect_right(x, value) - 1
    if place < 0 or place >= len(x) - 1 or x[place] == value:
        return y[max(place, 0)]
    slope = (y[place + 1] - y[place]) / (x[place + 1] - x[place])
    return slope * (value - x[place]) + y[place]
