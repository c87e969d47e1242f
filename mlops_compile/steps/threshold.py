"""Threshold: from which probability on the answer is the positive class, by a stated rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, parse, pick, pretty
from mlops_compile.steps.calibrations import calibrated, read_calibration
from mlops_compile.steps.needs import family_of
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
    if part.weights is not None and len(part.target) and not part.weights.any():
        message = "all weights of the validation part are 0, which leaves nothing to choose by"
        hint = "give rows that count (data.split.threshold_size), or take rule: fixed"
        raise StepError([problem("weight", message, _WHERE, hint)])
    scores = np.empty(0)
    if len(part.target):
        predicted = family_of(work.params).predict(
            work.inputs["model"], part.features, len(classes)
        )
        if "calibration" in work.inputs:
            predicted = calibrated(read_calibration(work.inputs["calibration"]), predicted)
        scores = predicted[:, 1]
    threshold = rule.value
    if threshold is None:
        threshold = choose(rule, part.target, scores, part.weights)
    value: dict[str, Value] = {"rule": rule.rule, "threshold": threshold}
    if len(scores):
        counts = _counts(part.target, scores, part.weights, np.array([threshold]))
        value["reached"] = Map({name: float(rate(counts)[0]) for name, rate in RATES.items()})
    work.outputs["decision"].write_text(pretty(Map(value)), "utf-8")


def read_threshold(work: Work) -> float | None:
    """The threshold of a step's input `decision`, where it has one."""
    if "decision" not in work.inputs:
        return None
    value = parse(work.inputs["decision"].read_text("utf-8"))
    assert isinstance(value, Map) and isinstance(value["threshold"], float)
    return value["threshold"]


def choose(rule: Threshold, truth: Array, scores: Array, weights: Array | None = None) -> float:
    """The best threshold of a rule: one of the scores, or the number above the highest of them.
    Each row counts as much as it weighs, as with scikit-learn's `sample_weight`.

    Among equally good ones it is the one nearest to 0.5, and of two that are as near, the higher.
    StepError for a constraint that none of them keeps.
    """
    distinct = np.unique(scores)
    candidates = np.append(distinct, math.nextafter(float(distinct[-1]), math.inf))
    counts = _counts(truth, scores, weights, candidates)
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


def _counts(truth: Array, scores: Array, weights: Array | None, thresholds: Array) -> Counts:
    """The counts of each threshold: a row is positive from it on."""
    missed, positive = _below(scores, weights, truth == 1, thresholds)
    spared, negative = _below(scores, weights, truth == 0, thresholds)
    return Counts(
        true_positive=positive - missed,
        false_positive=negative - spared,
        false_negative=missed,
        true_negative=spared,
    )


def _below(
    scores: Array, weights: Array | None, rows: Array, thresholds: Array
) -> tuple[Array, Any]:
    """What of these rows is below each threshold, and what there is in all: their number, or what
    they weigh."""
    order = np.argsort(scores[rows], kind="stable")
    places = np.searchsorted(scores[rows][order], thresholds, side="left")
    if weights is None:
        return places, len(order)
    sums = np.append(0.0, np.cumsum(weights[rows][order]))
    return sums[places], sums[-1]
