"""Estimated: how good the answers to a window are, before anybody knows the truth.

Confidence-based performance estimation: the model's probabilities, corrected as its test rows say,
are how likely each class is for each row. True classes are drawn from them again and again, and
each metric is computed of every draw. The calibration is drawn too, as it is known from so many
test rows only: so the band is where the metric of the true classes should lie, as long as what the
model says of a record means what it meant on the test rows. Where the world changes otherwise
(other truths for the same records) no estimate can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Calibration, Reference
from mlops_compile.monitor.decline import (
    MOST_ROWS,
    Measured,
    evenly,
    finding,
    metrics_of,
    options_of,
)
from mlops_compile.monitor.observed import Window
from mlops_compile.monitor.words import rows_of, share
from mlops_compile.steps.measure import Answers
from mlops_compile.steps.monitoring import Monitor
from mlops_compile.steps.resampled import Block, resampled

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_SEED = 0
_LEAST_DRAWS, _MOST_DRAWS = 400, 2000
_CELLS = 1 << 18  # of a block of draws x rows x classes
_MOST_CELLS = 50_000  # of rows x classes
_LEAST = 1e-9
_BEYOND = 3
_LEAST_DEFINED = 0.95


def estimates(reference: Reference, window: Window, monitor: Monitor) -> Iterator[Finding]:
    """The metrics of the test rows, estimated for the window; only the primary one is judged.
    Nothing of numbers, nor of fewer rows than are compared."""
    rows = len(window.predicted)
    if not reference.classes or not reference.calibration or rows < monitor.least_rows:
        return
    taken = evenly(rows, min(MOST_ROWS, _MOST_CELLS // len(reference.classes)))
    asked = monitor.performance
    metrics = metrics_of(reference)
    drawn = draws(reference, window.predicted[taken], tuple(metrics), asked.confidence)
    of = rows_of(rows) if len(taken) == rows else f"{len(taken):,} of {rows_of(rows)}"
    for name, before in metrics.items():
        measured = banded(name, drawn[name], asked.confidence)
        if measured is None:
            continue
        worse = asked.worse if name == reference.primary else None
        words = f"{name} is estimated as {measured.band}, at {share(asked.confidence)}, of {of}"
        yield finding("estimate", measured, before, words, worse)


def banded(metric: str, drawn: Array, confidence: float) -> Measured | None:
    """The mean of a metric's draws and their central band: Weibull's quantiles, between which
    another draw lies at that confidence. None where too few draws have the metric."""
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < _LEAST_DEFINED * len(drawn):
        return None
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(defined, ends, method="weibull")
    return Measured(metric=metric, value=float(defined.mean()), low=float(low), high=float(high))


def draws(
    reference: Reference, predicted: Array, metrics: tuple[str, ...], confidence: float
) -> dict[str, Array]:
    """Metric -> what it is of each draw of true classes, NaN where it has no meaning. A row stands
    once for each class that it may have, with the weight 1 in the draws where it has it."""
    classes = len(reference.classes)
    if classes == 2:  # sorted once, so that no draw is
        predicted = predicted[np.argsort(-predicted[:, 1], kind="stable")]
    answers = Answers(
        truth=np.tile(np.arange(classes), len(predicted)),
        predicted=np.repeat(predicted, classes, axis=0),
        classes=reference.classes,
        decision=reference.threshold,
    )
    options = options_of(reference)
    functions = {name: resampled(name, answers, options) for name in metrics}
    found: dict[str, list[Array]] = {name: [] for name in metrics}
    many = int(np.clip(np.ceil(4 / (1 - confidence)), _LEAST_DRAWS, _MOST_DRAWS))
    for weights in _weights(reference, predicted, many):
        block = Block(weights)
        for name, function in functions.items():
            found[name].append(function(block))
    return {name: np.concatenate(values) for name, values in found.items()}


def _weights(reference: Reference, predicted: Array, many: int) -> Iterator[Array]:
    """Drawn classes as weights (draws x rows times classes), some draws at a time; RandomState's
    stream is frozen."""
    random = np.random.RandomState(_SEED)
    rows, classes = predicted.shape
    scores = predicted[:, 1:] if classes == 2 else predicted
    corrected = [
        _Corrected(bins, np.ascontiguousarray(scores[:, code]))
        for code, bins in enumerate(reference.calibration)
    ]
    size = max(1, min(many, _CELLS // (rows * classes)))
    for start in range(0, many, size):
        block = min(size, many - start)
        chances = np.stack([one.draw(random, block) for one in corrected], axis=2)
        uniform = random.random_sample((block, rows))
        if classes == 2:
            drawn = (uniform < chances[:, :, 0]).astype("int64")
        else:
            sums = np.cumsum(chances, axis=2)
            drawn = (uniform[:, :, None] * sums[:, :, -1:] >= sums[:, :, :-1]).sum(axis=2)
        weights = drawn[:, :, None] == np.arange(classes)
        yield weights.reshape(block, rows * classes).astype("float64")


class _Corrected:
    """A class's chances for some rows: its scores, moved on the scale of log odds by as much as the
    test rows say for a score like theirs (between the means of two bins, by both). Scores of less
    than a third of the first bin's mean count as that, and so at the other end: of those close to
    0 or 1 the bins tell no more."""

    def __init__(self, bins: tuple[Calibration, ...], scores: Array) -> None:
        self._means = np.array([one.score for one in bins])
        self._rows = np.array([one.rows for one in bins])
        self._true = np.array([one.true for one in bins])
        first, last = bins[0].score, bins[-1].score
        scores = np.clip(scores, first / _BEYOND, 1 - (1 - last) / _BEYOND)
        places = np.interp(scores, self._means, np.arange(len(bins)))
        self._lower = np.minimum(places.astype("int64"), max(0, len(bins) - 2))
        self._upper = np.minimum(self._lower + 1, len(bins) - 1)
        self._between = places - self._lower
        self._odds = _odds(scores)

    def draw(self, random: np.random.RandomState, many: int) -> Array:
        """Chances (draws x rows). The share of true rows of each bin is drawn from what is known of
        it: Beta, by the bin's rows and one more that is true as the model says."""
        size = (many, len(self._means))
        prior = np.clip(self._means, _LEAST, 1 - _LEAST)
        shares = random.beta(self._true + prior, self._rows - self._true + 1 - prior, size)
        moved = _odds(shares) - _odds(self._means)
        by = moved[:, self._lower] * (1 - self._between) + moved[:, self._upper] * self._between
        chances: Array = 1 / (1 + np.exp(-(self._odds + by)))
        return chances


def _odds(shares: Array) -> Array:
    clipped = np.clip(shares, _LEAST, 1 - _LEAST)
    odds: Array = np.log(clipped / (1 - clipped))
    return odds
