"""Performance: how good the answers were, where the truth is known: of the window and of its
segments.

The band around a metric is that of its difference to the test rows' metric: the bootstrap gives
the metric's deviation on these labelled rows, to which the test rows add theirs, as they are so
many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.ir.value import Map, pick
from mlops_compile.monitor.decline import (
    MOST_ROWS,
    Measured,
    evenly,
    finding,
    metrics_of,
    options_of,
)
from mlops_compile.monitor.observed import Window
from mlops_compile.monitor.words import rows_of, share, short
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.intervals import scores_of
from mlops_compile.steps.measure import Answers, why_not
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.monitoring import Monitor
from mlops_compile.steps.resampled import Block, resampled

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_SEED = 0
_RESAMPLES = 200
_SEGMENT_ROWS = 5000
_LEAST_DEFINED = 0.95


def performance(reference: Reference, window: Window, monitor: Monitor) -> Iterator[Finding]:
    """The metrics of the test rows, on the window's labelled rows; only the primary one is judged,
    and of as many rows as are compared elsewhere. Nothing where no truth is known."""
    labelled = window.labelled
    if not len(labelled):
        return
    if len(labelled) < monitor.least_rows:
        yield _too_few(reference.primary, len(labelled), monitor.least_rows)
        return
    answers = _answers(reference, window, labelled)
    asked = monitor.performance
    metrics, options = metrics_of(reference), options_of(reference)
    values, missing = _measured(tuple(metrics), answers, options)
    bands = _bands(values, answers, reference.truth.rows, asked.confidence, options)
    for name, before in metrics.items():
        if name in missing:
            yield _not_measured("performance", name, f"{name} is not told: {missing[name]}")
        elif name in bands:
            words = (
                f"{name} is {bands[name].band}, at {share(asked.confidence)}, of"
                f" {rows_of(len(labelled))} whose truth is known"
            )
            worse = asked.worse if name == reference.primary else None
            yield finding("performance", bands[name], before, words, worse)
        else:
            words = f"{name} is not told: it is not defined in enough resamples of these rows"
            yield _not_measured("performance", name, words)


def segments(reference: Reference, window: Window, monitor: Monitor) -> Iterator[Finding]:
    """The primary metric of each segment of the reference with enough labelled rows; the bands have
    the confidence for all of these together."""
    asked = monitor.performance
    name, options = reference.primary, options_of(reference)
    told = [
        (f"{column}={level}", f"{column} {short(level)}", facts, rows)
        for column, level, facts, rows in _segments(reference, window)
        if name in facts["metrics"] and len(rows) >= asked.segment_rows
    ]
    confidence = 1 - (1 - asked.confidence) / max(1, len(told))
    for feature, words, facts, rows in told:
        answers = _answers(reference, window, rows)
        values, missing = _measured((name,), answers, options)
        bands = _bands(values, answers, facts["rows"], confidence, options, _SEGMENT_ROWS)
        if name not in bands:
            why = missing.get(name, "it is not defined in enough resamples of these rows")
            message = f"{name} of {words} is not told: {why}"
            yield _not_measured("segment", name, message, feature)
            continue
        message = (
            f"{name} of {words} is {bands[name].band}, at {share(asked.confidence)} for all"
            f" segments together, of {rows_of(len(rows))} whose truth is known"
        )
        yield finding("segment", bands[name], facts["metrics"][name], message, asked.worse, feature)


def _segments(
    reference: Reference, window: Window
) -> Iterator[tuple[str, str, dict[str, Any], Array]]:
    """Column, level, what the test rows had there, and the places of its labelled rows."""
    labelled = window.labelled
    for column, held in window.segments.items():
        levels = pick(reference.segments, (column, "levels"))
        assert isinstance(levels, Map)
        of_each = held[labelled]
        for level, facts in levels.items():
            assert isinstance(facts, Map)
            yield column, level, dict(facts), labelled[of_each == level]


def _answers(reference: Reference, window: Window, rows: Array) -> Answers:
    return Answers(
        truth=window.truth[rows],
        predicted=window.predicted[rows],
        classes=reference.classes,
        decision=reference.threshold,
    )


def _measured(
    names: tuple[str, ...], answers: Answers, options: MetricOptions
) -> tuple[dict[str, float], dict[str, str]]:
    """Metric -> number, and metric -> why there is none: as one resample that has each row once,
    which of a million rows takes a fraction of the time of scikit-learn's functions."""
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    block = Block(np.ones((1, len(answers.truth))))
    for name in names:
        why = why_not(METRICS[name], answers)
        value = float("nan") if why else float(resampled(name, answers, options)(block)[0])
        if np.isfinite(value):
            values[name] = value
        else:
            missing[name] = why or "it is not defined for these rows"
    return values, missing


def _bands(
    values: dict[str, float],
    answers: Answers,
    before: int,
    confidence: float,
    options: MetricOptions,
    most: int = MOST_ROWS,
) -> dict[str, Measured]:
    """Metric -> its value with the band, where enough resamples have it. Of more than `most` rows,
    so many are drawn from, and what is found is that of so many more."""
    rows = len(answers.truth)
    taken = evenly(rows, most)
    drawn = scores_of(tuple(values), answers.take(taken), _RESAMPLES, options, _SEED)
    quantile = float(norm.ppf((1 + confidence) / 2))
    found = {}
    for name, value in values.items():
        defined = drawn[name][np.isfinite(drawn[name])]
        if len(defined) < _LEAST_DEFINED * _RESAMPLES:
            continue
        of_one_row = float(defined.std(ddof=1)) * len(taken) ** 0.5
        by = quantile * of_one_row * (1 / rows + 1 / before) ** 0.5
        metric = METRICS[name]
        found[name] = Measured(
            metric=name,
            value=value,
            low=max(metric.low, value - by),
            high=min(metric.high, value + by),
        )
    return found


def _too_few(metric: str, rows: int, least: int) -> Finding:
    message = f"performance is not told: the truth of {rows} of the {least} rows that it takes"
    return Finding(
        kind="performance",
        test=metric,
        value=None,
        alert=False,
        message=f"{message} is known",
    )


def _not_measured(kind: str, metric: str, message: str, feature: str | None = None) -> Finding:
    return Finding(
        kind=kind, feature=feature, test=metric, value=None, alert=False, message=message
    )
