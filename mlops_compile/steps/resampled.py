"""Resampled: a metric of many resamples at once, each a vector of weights of the same rows.

The formulas are those of scikit-learn's functions; tests/test_metrics.py holds each of them to
the function. A metric that has none here is asked of scikit-learn, resample after resample.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, number, why_not
from mlops_compile.steps.metrics import METRICS, shares_of

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_FEW_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Block:
    """Weights (resamples x rows), and what several metrics need of them, made once."""

    weights: Array
    made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, name: Hashable, make: Callable[[], Any]) -> Any:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    @property
    def total(self) -> Array:
        total: Array = self.once("total", lambda: self.weights.sum(axis=1))
        return total

    def sums(self, values: Array) -> Array:
        """The weighted sum of a value of each row, by resample; einsum's order of additions does
        not depend on threads, as that of BLAS does."""
        sums: Array = np.einsum("ij,j->i", self.weights, values)
        return sums


Resampled = Callable[[Block], "Array"]


def resampled(name: str, answers: Answers, options: MetricOptions) -> Resampled:
    """The function of a metric: a value for each resample, NaN where it has no meaning."""
    make = _FORMS.get(name)
    return _one_by_one(name, answers, options) if make is None else make(answers, options)


def _one_by_one(name: str, answers: Answers, options: MetricOptions) -> Resampled:
    metric = METRICS[name]

    def score(weights: Array) -> float:
        rows = np.flatnonzero(weights)
        drawn = replace(answers.take(rows), weight=weights[rows])
        if why_not(metric, drawn):
            return float("nan")
        try:
            return number(metric, drawn, options)
        except ValueError:
            return float("nan")

    return lambda block: np.array([score(weights) for weights in block.weights])


# Means of a loss of each row


def _mean(loss: Callable[[Answers, MetricOptions], Array], root: bool = False) -> Any:
    def make(answers: Answers, options: MetricOptions) -> Resampled:
        losses = loss(answers, options)

        def score(block: Block) -> Array:
            mean = block.sums(losses) / block.total
            return np.sqrt(mean) if root else mean

        return score

    return make


def _squares(answers: Answers, options: MetricOptions) -> Array:
    squares: Array = (answers.truth - answers.predicted) ** 2
    return squares


def _absolute(answers: Answers, options: MetricOptions) -> Array:
    errors: Array = np.abs(answers.truth - answers.predicted)
    return errors


def _log_squares(answers: Answers, options: MetricOptions) -> Array:
    squares: Array = (np.log1p(answers.truth) - np.log1p(answers.predicted)) ** 2
    return squares


def _relative(answers: Answers, options: MetricOptions) -> Array:
    least = np.finfo(np.float64).eps
    relative: Array = _absolute(answers, options) / np.maximum(np.abs(answers.truth), least)
    return relative


def _pinball(answers: Answers, options: MetricOptions) -> Array:
    difference = answers.truth - answers.predicted
    loss: Array = np.maximum(options.alpha * difference, (options.alpha - 1) * difference)
    return loss


def _brier(answers: Answers, options: MetricOptions) -> Array:
    squares: Array = (answers.truth - answers.predicted[:, 1]) ** 2
    return squares


def _log_loss(answers: Answers, options: MetricOptions) -> Array:
    least = np.finfo(np.float64).eps
    clipped = np.clip(answers.predicted, least, 1 - least)
    shares = clipped / clipped.sum(axis=1, keepdims=True)
    losses: Array = -np.log(shares[np.arange(len(shares)), answers.truth])
    return losses


def _poisson(answers: Answers, options: MetricOptions) -> Array:
    truth, predicted = answers.truth, answers.predicted
    logs = np.zeros(len(truth))
    np.log(truth / predicted, out=logs, where=truth > 0)
    deviance: Array = 2 * (truth * logs - truth + predicted)
    return deviance


# What counts of classes give


def _counted(formula: Callable[[Array, Array, Array], Array]) -> Any:
    """A metric of the weights of each class's true rows, answered rows and right rows (each
    resamples x classes)."""

    def make(answers: Answers, options: MetricOptions) -> Resampled:
        truth, labels, classes = answers.truth, answers.labels, len(answers.classes)
        hits = np.flatnonzero(truth == labels)
        cells = truth * classes + labels

        def of(codes: Array, rows: Array, length: int) -> Array:
            return np.array([np.bincount(codes, row, length) for row in rows])

        def count(weights: Array) -> tuple[Array, Array, Array]:
            if classes <= _FEW_CLASSES:
                table = of(cells, weights, classes**2).reshape(-1, classes, classes)
                return table.sum(axis=2), table.sum(axis=1), table.diagonal(axis1=1, axis2=2)
            right = of(truth[hits], weights[:, hits], classes)
            return of(truth, weights, classes), of(labels, weights, classes), right

        def score(block: Block) -> Array:
            key = ("counts", id(answers.predicted))
            counts = block.once(key, lambda: count(block.weights))
            with np.errstate(divide="ignore", invalid="ignore"):
                return formula(*counts)

        return score

    return make


def _ratio(above: Array, below: Array) -> Array:
    """A ratio, 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _accuracy(true: Array, answered: Array, right: Array) -> Array:
    ratio: Array = right.sum(axis=1) / true.sum(axis=1)
    return ratio


def _balanced(true: Array, answered: Array, right: Array) -> Array:
    there = true > 0
    recalls: Array = _ratio(right, true).sum(axis=1) / there.sum(axis=1)
    return recalls


def _of_positive(formula: Callable[[Array, Array, Array], Array], needed: bool = True) -> Any:
    def score(true: Array, answered: Array, right: Array) -> Array:
        found = formula(true[:, 1], answered[:, 1], right[:, 1])
        return np.where(true[:, 1] > 0, found, np.nan) if needed else found

    return _counted(score)


def _f1(true: Array, answered: Array, right: Array) -> Array:
    return _ratio(2 * right, true + answered)


def _macro(formula: Callable[[Array, Array, Array], Array]) -> Any:
    """The mean over the classes that are true or answered somewhere."""

    def score(true: Array, answered: Array, right: Array) -> Array:
        there = (true > 0) | (answered > 0)
        mean: Array = formula(true, answered, right).sum(axis=1) / there.sum(axis=1)
        return mean

    return _counted(score)


def _weighted_f1(true: Array, answered: Array, right: Array) -> Array:
    total: Array = (_f1(true, answered, right) * true).sum(axis=1) / true.sum(axis=1)
    return total


def _matthews(true: Array, answered: Array, right: Array) -> Array:
    rows, both = true.sum(axis=1), (true * answered).sum(axis=1)
    above = right.sum(axis=1) * rows - both
    truths = rows**2 - (true**2).sum(axis=1)
    answers = rows**2 - (answered**2).sum(axis=1)
    return np.where(truths * answers > 0, above / np.sqrt(truths * answers), 0.0)


def _kappa(true: Array, answered: Array, right: Array) -> Array:
    rows = true.sum(axis=1)
    chance = (true * answered).sum(axis=1) / rows
    kappa: Array = (right.sum(axis=1) - chance) / (rows - chance)
    return np.where((true > 0).sum(axis=1) > 1, kappa, np.nan)


# What the order of the scores gives


def _ranked(formula: Callable[[Array, Array], Array]) -> Any:
    """A metric of the positive and the other rows' weights at or above each score."""

    def make(answers: Answers, options: MetricOptions) -> Resampled:
        rank = _ranking(answers.truth == 1, answers.predicted[:, 1])
        key = ("ranks", id(answers.predicted))
        return lambda block: formula(*block.once(key, lambda: rank(block)))

    return make


def _ranking(positive: Array, scores: Array) -> Callable[[Block], tuple[Array, Array]]:
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    own = positive[order].astype("float64")
    as_they_are = bool(np.all(order == np.arange(len(order))))

    def rank(block: Block) -> tuple[Array, Array]:
        weights = block.weights if as_they_are else block.weights[:, order]
        true = np.cumsum(weights * own, axis=1)[:, ends]
        all_rows = np.cumsum(weights, axis=1)[:, ends]
        return true, all_rows - true

    return rank


def _roc_auc(true: Array, false: Array) -> Array:
    """The area below the line through (false, true), by trapezoids from (0, 0)."""
    width = np.diff(false, axis=1, prepend=0.0)
    height = true + np.concatenate([np.zeros((len(true), 1)), true[:, :-1]], axis=1)
    area = (width * height).sum(axis=1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Array = area / (true[:, -1] * false[:, -1])
    return share


def _average_precision(true: Array, false: Array) -> Array:
    gained = np.diff(true, axis=1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Array = (gained * _ratio(true, true + false)).sum(axis=1) / true[:, -1]
    return mean


def _roc_auc_ovr(answers: Answers, options: MetricOptions) -> Resampled:
    shares = shares_of(answers.predicted)
    ranks = [
        _ranking(answers.truth == code, np.ascontiguousarray(shares[:, code]))
        for code in range(len(answers.classes))
    ]

    def score(block: Block) -> Array:
        areas = [_roc_auc(*rank(block)) for rank in ranks]
        mean: Array = np.mean(areas, axis=0)
        return mean

    return score


# What is explained of the target's variance, and the errors' order


def _explained(centered: bool) -> Any:
    def make(answers: Answers, options: MetricOptions) -> Resampled:
        offset = float(np.average(answers.truth, weights=answers.weights))
        truth, error = answers.truth - offset, answers.truth - answers.predicted

        def score(block: Block) -> Array:
            left = block.sums(error**2)
            if centered:
                left = left - block.sums(error) ** 2 / block.total
            spread = block.sums(truth**2) - block.sums(truth) ** 2 / block.total
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(spread > 0, 1 - left / spread, np.nan)

        return score

    return make


def _median(answers: Answers, options: MetricOptions) -> Resampled:
    """The weighted median of the errors: the mean of the two in the middle where it is between."""
    errors = _absolute(answers, options)
    order = np.argsort(errors, kind="stable")
    ordered = errors[order]

    def score(block: Block) -> Array:
        sums = np.cumsum(block.weights[:, order], axis=1)
        half = sums[:, -1:] / 2
        lower, upper = (sums >= half).argmax(axis=1), (sums > half).argmax(axis=1)
        middle: Array = (ordered[lower] + ordered[upper]) / 2
        return middle

    return score


def _greatest(answers: Answers, options: MetricOptions) -> Resampled:
    errors = _absolute(answers, options)
    return lambda block: np.max((block.weights > 0) * errors, axis=1)


def _fbeta(answers: Answers, options: MetricOptions) -> Resampled:
    square = options.beta**2

    def formula(true: Array, answered: Array, right: Array) -> Array:
        return _ratio((1 + square) * right, square * true + answered)

    make = _of_positive(formula)
    found: Resampled = make(answers, options)
    return found


_FORMS: Mapping[str, Callable[[Answers, MetricOptions], Resampled]] = {
    "roc_auc": _ranked(_roc_auc),
    "average_precision": _ranked(_average_precision),
    "roc_auc_ovr": _roc_auc_ovr,
    "brier": _mean(_brier),
    "log_loss": _mean(_log_loss),
    "accuracy": _counted(_accuracy),
    "balanced_accuracy": _counted(_balanced),
    "macro_recall": _macro(lambda true, answered, right: _ratio(right, true)),
    "macro_precision": _macro(lambda true, answered, right: _ratio(right, answered)),
    "macro_f1": _macro(_f1),
    "weighted_f1": _counted(_weighted_f1),
    "matthews_corrcoef": _counted(_matthews),
    "cohen_kappa": _counted(_kappa),
    "f1": _of_positive(_f1),
    "fbeta": _fbeta,
    "precision": _of_positive(lambda true, answered, right: _ratio(right, answered), needed=False),
    "recall": _of_positive(lambda true, answered, right: _ratio(right, true)),
    "jaccard": _of_positive(lambda true, answered, right: _ratio(right, true + answered - right)),
    "r2": _explained(centered=False),
    "explained_variance": _explained(centered=True),
    "rmse": _mean(_squares, root=True),
    "mse": _mean(_squares),
    "mae": _mean(_absolute),
    "median_ae": _median,
    "max_error": _greatest,
    "mape": _mean(_relative),
    "msle": _mean(_log_squares),
    "rmsle": _mean(_log_squares, root=True),
    "mean_pinball_loss": _mean(_pinball),
    "mean_poisson_deviance": _mean(_poisson),
}
