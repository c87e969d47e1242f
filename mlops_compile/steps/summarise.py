"""Summarise: the metrics of all folds as one: each, their mean and their deviation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_compile.ir.value import Map, Value, parse, pretty

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work


def run(work: Work) -> None:
    """Writes `metrics`: `each` (a map of metrics a fold, in order), `mean`, `deviation` (of a
    sample: over n - 1) and `baseline` (the mean of the folds' baselines)."""
    numbers = range(1, len(work.inputs) + 1)
    found = [parse(work.inputs[f"metrics_{number}"].read_bytes()) for number in numbers]
    each = [_part(metrics, "test") for metrics in found]
    summary: dict[str, Value] = {
        "each": tuple(each),
        "mean": _by_metric(each, _mean),
        "deviation": _by_metric(each, _deviation),
        "baseline": _by_metric([_part(metrics, "baseline") for metrics in found], _mean),
    }
    work.outputs["metrics"].write_text(pretty(Map(summary)), "utf-8")


def _part(metrics: Value, name: str) -> Map:
    assert isinstance(metrics, Map)
    part = metrics[name]
    assert isinstance(part, Map)
    return part


def _of(metrics: Map, name: str) -> float:
    value = metrics[name]
    assert isinstance(value, int | float)
    return float(value)


def _by_metric(folds: list[Map], of: Callable[[list[float]], float]) -> Map:
    return Map({name: of([_of(fold, name) for fold in folds]) for name in folds[0]})


def _mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def _deviation(numbers: list[float]) -> float:
    mean = _mean(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
