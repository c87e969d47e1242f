"""Curves: what is told of a part's predictions beside metrics, as data to draw.

Confusion matrix, roc and precision-recall curves, calibration, residuals. All counts and sums are
weighted where the rows are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.measure import Answers

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_MOST_POINTS = 200
_MOST_CLASSES = 20
_BINS = 10
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def confusion(answers: Answers) -> Value:
    """Rows of each true class (outer) by answered class (inner), as scikit-learn has them."""
    classes = len(answers.classes)
    if classes > 10 * _MOST_CLASSES:
        return _left_out(f"{classes} classes are more than {10 * _MOST_CLASSES}")
    table = np.zeros((classes, classes))
    np.add.at(table, (answers.truth, answers.labels), answers.weights)
    counts = table if answers.weight is not None else table.astype("int64")
    rows = tuple(tuple(row) for row in counts.tolist())
    return Map({"classes": answers.classes, "rows": rows})


def curves(answers: Answers) -> Value:
    """Class -> its roc and precision-recall curve against the rest, with at most 200 points; in a
    binary task of the positive class alone."""
    classes = len(answers.classes)
    if classes > _MOST_CLASSES:
        return _left_out(f"{classes} classes are more than {_MOST_CLASSES}")
    first = 1 if classes == 2 else 0
    return Map(
        {
            answers.classes[code]: _curve(
                answers.truth == code, answers.predicted[:, code], answers.weights
            )
            for code in range(first, classes)
        }
    )


def _curve(positive: Array, scores: Array, weights: Array) -> Value:
    order = np.argsort(-scores, kind="stable")
    hit, alarm = (np.cumsum((weights * side)[order]) for side in (positive, ~positive))
    true, false = hit[-1], alarm[-1]  # as they are summed below, so that the curve ends in 1
    if not true or not false:
        return _left_out("no row has this class" if not true else "every row has this class")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits, alarms = hit[ends], alarm[ends]
    kept = _thinned(hits / true, alarms / false)
    hits, alarms, thresholds = hits[kept], alarms[kept], ordered[ends][kept]
    answered = hits + alarms
    precision = np.divide(hits, answered, out=np.ones(len(kept)), where=answered > 0)
    return Map(
        {
            "threshold": _list(thresholds),
            "true_positive_rate": _list(hits / true),
            "false_positive_rate": _list(alarms / false),
            "precision": _list(precision),
        }
    )


def _thinned(tpr: Array, fpr: Array) -> Array:
    """At most 200 of the thresholds, evenly spaced along the roc curve, the first and last too."""
    if len(tpr) <= _MOST_POINTS:
        return np.arange(len(tpr))
    places = np.searchsorted(tpr + fpr, np.linspace(tpr[0] + fpr[0], 2.0, _MOST_POINTS))
    return np.unique(np.append(0, np.minimum(places, len(tpr) - 1)))[-_MOST_POINTS:]


def calibration(answers: Answers) -> Value:
    """Whether probabilities are shares: ten bins of equal width of the positive class's
    probability (with more classes, of the most probable one's), the expected calibration error
    (the mean distance of probability and share, weighted by rows) and the Brier score."""
    if len(answers.classes) == 2:
        scores, right = answers.predicted[:, 1], answers.truth == 1
    else:
        scores = answers.predicted.max(axis=1)
        right = answers.predicted.argmax(axis=1) == answers.truth
    weights = answers.weights
    if not weights.sum():
        return _left_out("all weights are 0")
    places = np.clip((scores * _BINS).astype("int64"), 0, _BINS - 1)
    sums = np.bincount(places, weights, _BINS)
    filled = np.flatnonzero(sums)
    probability = np.bincount(places, weights * scores, _BINS)[filled] / sums[filled]
    share = np.bincount(places, weights * right, _BINS)[filled] / sums[filled]
    error = float(np.sum(np.abs(probability - share) * sums[filled]) / sums.sum())
    whole = np.zeros(answers.predicted.shape)
    whole[np.arange(len(whole)), answers.truth] = 1.0
    squares = ((answers.predicted - whole) ** 2).sum(axis=1)
    if len(answers.classes) == 2:
        squares = squares / 2
    bins = Map(
        {
            "low": _list(filled / _BINS),
            "rows": tuple(np.bincount(places, minlength=_BINS)[filled].tolist()),
            "probability": _list(probability),
            "share": _list(share),
        }
    )
    brier = float(np.sum(squares * weights) / weights.sum())
    return Map({"bins": bins, "brier": brier, "ece": error})


def residuals(answers: Answers) -> Value:
    """Truth less prediction: quantiles, mean and spread, and the mean by tenths of the rows in
    order of their prediction. Rows that weigh nothing are none."""
    if answers.weight is not None:
        answers = answers.take(np.flatnonzero(answers.weight > 0))
        if not len(answers.truth):
            return _left_out("all weights are 0")
    errors, weights = answers.truth - answers.predicted, answers.weight
    mean = float(np.average(errors, weights=weights))
    order = np.argsort(answers.predicted, kind="stable")
    return Map(
        {
            "quantiles": Map(
                {
                    f"{q:g}": float(value)
                    for q, value in zip(_QUANTILES, _quantiles(errors, weights), strict=True)
                }
            ),
            "mean": mean + 0.0,
            "standard_deviation": math.sqrt(np.average((errors - mean) ** 2, weights=weights)),
            "by_prediction": tuple(
                _tenth(answers.take(rows)) for rows in np.array_split(order, min(_BINS, len(order)))
            ),
        }
    )


def _quantiles(errors: Array, weights: Array | None) -> Array:
    """Between two rows where all count alike, else the first row up to which enough weighs."""
    if weights is None:
        return np.quantile(errors, _QUANTILES)
    return np.quantile(errors, _QUANTILES, method="inverted_cdf", weights=weights)


def _tenth(answers: Answers) -> Map:
    errors, weights = answers.truth - answers.predicted, answers.weight
    return Map(
        {
            "rows": len(errors),
            "predicted": float(np.average(answers.predicted, weights=weights)),
            "mean": float(np.average(errors, weights=weights)) + 0.0,
            "mean_absolute": float(np.average(np.abs(errors), weights=weights)),
        }
    )


def told(include: tuple[str, ...], answers: Answers) -> dict[str, Value]:
    """Those of these that are asked for and fit the task."""
    fitting = {"confusion": confusion, "curves": curves, "calibration": calibration}
    if not answers.classes:
        return {"residuals": residuals(answers)} if "residuals" in include else {}
    return {name: make(answers) for name, make in fitting.items() if name in include}


def _left_out(why: str) -> Map:
    return Map({"not_computed": why})


def _list(values: Array) -> tuple[Value, ...]:
    return tuple((values + 0.0).tolist())
