"""Threshold: from which probability on the answer is the positive class, by a stated rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, parse, pick, pretty
from mlops_compile.steps.calibrations import calibrated, read_calibration
from mlops_compile.steps.kinds import family_of
from mlops_compile.steps.thresholds import RATES, Counts, Threshold
from mlops_compile.steps.train import load_part, read_target

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]

_WHERE = ("model", "threshold")


def run(work: Work) -> None:
    """Writes `decision`: the rule, the threshold, and what it reaches on the rows it was chosen on
    (nothing, where it is fixed and there are none)."""
    rule = from_value(Threshold, pick(work.params, _WHERE))
    target, classes = read_target(work.inputs["target"])
    part = load_part(work, target, "validation")
    scores = np.empty(0)
    if len(part.target):
        predicted = family_of(work.params).predict(
            work.inputs["model"], part.features, len(classes)
        )
        if "calibration" in work.inputs:
            predicted = calibrated(read_calibration(work.inputs["calibration"]), predicted)
        scores = predicted[:, 1]
    threshold = rule.value if rule.value is not None else choose(rule, part.target, scores)
    value: dict[str, Value] = {"rule": rule.rule, "threshold": threshold}
    if len(scores):
        counts = _counts(part.target, scores, np.array([threshold]))
        value["reached"] = Map({name: float(rate(counts)[0]) for name, rate in RATES.items()})
    work.outputs["decision"].write_text(pretty(Map(value)), "utf-8")


def read_threshold(work: Work) -> float | None:
    """The threshold of a step's input `decision`, where it has one."""
    if "decision" not in work.inputs:
        return None
    value = parse(work.inputs["decision"].read_text("utf-8"))
    assert isinstance(value, Map) and isinstance(value["threshold"], float)
    return value["threshold"]


def choose(rule: Threshold, truth: Array, scores: Array) -> float:
    """The best threshold of a rule: one of the scores, or the number above the highest of them.

    Among equally good ones it is the one nearest to 0.5, and of two that are as near, the higher.
    StepError for a constraint that none of them keeps.
    """
    distinct = np.unique(scores)
    candidates = np.append(distinct, math.nextafter(float(distinct[-1]), math.inf))
    counts = _counts(truth, scores, candidates)
    if rule.rule == "costs":
        assert rule.false_positive is not None and rule.false_negative is not None
        worth = -(
            counts.false_positive * rule.false_positive
            + counts.false_negative * rule.false_negative
        )
    else:
        worth = RATES[str(rule.maximise or rule.metric)](counts)
    if rule.rule == "constraint":
        reached = RATES[str(rule.metric)](counts)
        if not (reached >= rule.at_least).any():
            raise StepError([_unreached(rule, float(reached.max()))])
        worth = np.where(reached >= rule.at_least, worth, -np.inf)
    best = candidates[worth == worth.max()]
    return float(best[np.lexsort((-best, np.abs(best - 0.5)))[0]])


def _unreached(rule: Threshold, most: float) -> Any:
    message = (
        f"no threshold reaches {rule.metric} of {rule.at_least:g} on the validation part;"
        f" the most that one reaches is {most:.6g}"
    )
    hint = "ask for less, or better the model"
    return problem("threshold", message, (*_WHERE, "at_least"), hint)


def _counts(truth: Array, scores: Array, thresholds: Array) -> Counts:
    """The counts of each threshold: a row is positive from it on."""
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    missed = np.searchsorted(positive, thresholds, side="left")
    spared = np.searchsorted(negative, thresholds, side="left")
    return Counts(
        true_positive=len(positive) - missed,
        false_positive=len(negative) - spared,
        false_negative=missed,
        true_negative=spared,
    )
