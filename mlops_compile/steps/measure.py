"""Measure: metrics of some rows, with a reason in place of each that has no meaning for them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.metrics import METRICS, Metric, labels_of

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The true targets of some rows, what was predicted for them, and the rows' weights.

    `classes` are the classes' names, none in a regression; `decision` is the threshold of the
    positive class's probability, else the most probable class is answered; `secret`: the targets
    are of a sensitive column, so that none is told.
    """

    truth: Array
    predicted: Array
    classes: tuple[str, ...] = ()
    weight: Array | None = None
    decision: float | None = None
    secret: bool = False

    @property
    def labels(self) -> Array:
        return labels_of(self.predicted, self.decision)

    @property
    def weights(self) -> Array:
        return np.ones(len(self.truth)) if self.weight is None else self.weight

    def take(self, rows: Array) -> Answers:
        """Those of some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, truth=self.truth[rows], predicted=self.predicted[rows], weight=weight)

    def instead(self, predicted: Array) -> Answers:
        """The same rows with other predictions, each class answered where it is most probable."""
        return replace(self, predicted=predicted, decision=None)


def measure(
    names: Iterable[str], answers: Answers, options: MetricOptions
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Metric -> number, and metric -> why it was not computed."""
    found: dict[str, Value] = {}
    missing: dict[str, Value] = {}
    for name in names:
        why = why_not(METRICS[name], answers)
        if not why:
            try:
                found[name] = number(METRICS[name], answers, options)
                continue
            except ValueError as error:
                why = str(error).partition("\n")[0]
        missing[name] = why
    return found, missing


def number(metric: Metric, answers: Answers, options: MetricOptions) -> float:
    """One metric, a finite number; ValueError with the reason else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is judged by `why_not`
        score = metric.score(
            answers.truth, answers.predicted, answers.weight, options, answers.decision
        )
    if not math.isfinite(score):
        raise ValueError("it is not defined for these rows")
    return score + 0.0  # no negative zero


def why_not(metric: Metric, answers: Answers) -> str:
    """Why a metric has no meaning for these rows; empty where it has one."""
    rows = answers.truth
    if answers.weight is not None:
        rows = rows[answers.weight > 0]
    if not len(rows):
        return "there are no rows" if answers.weight is None else "all weights are 0"
    if not answers.classes:
        constant = metric.needs == "varied" and not np.any(rows != rows[0])
        return f"the target has one value in {_rows(len(rows))}" if constant else ""
    present = set(np.unique(rows).tolist())
    absent = [name for code, name in enumerate(answers.classes) if code not in present]
    lacks = {
        "all": bool(absent),
        "positive": len(answers.classes) == 2 and 1 not in present,
        "varied": len(present) == 1,
        "": False,
    }[metric.needs]
    if not lacks:
        return ""
    return f"no row has the class {', '.join(map(repr, absent[:5]))}"


def summary(
    truth: Array, classes: tuple[str, ...], weight: Array | None, secret: bool
) -> dict[str, Value]:
    """What rows these are: how many, of which classes or (unless secret) numbers, and what they
    weigh."""
    facts: dict[str, Value] = {"rows": len(truth)}
    if classes:
        counts = np.bincount(truth, minlength=len(classes))
        facts["classes"] = Map(dict(zip(classes, counts.tolist(), strict=True)))
    elif len(truth) and not secret:
        quantiles = np.quantile(truth, [0, 0.25, 0.5, 0.75, 1])
        facts["target"] = tuple(float(value) for value in quantiles)
    if weight is not None:
        facts["weight"] = float(weight.sum())
    return facts


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"all {count} rows"
