"""Intervals: the percentile bootstrap of metrics, and of their differences to a baseline.

Rows are drawn with replacement as often as there are rows, whatever their class: an interval tells
how far a metric would move on another test part of that size. A resample is a count for each row,
so that a metric of it is the weighted metric of the rows as they are. What is sorted or looked up
once serves every resample (steps/resampled.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.evaluation import Bootstrap, MetricOptions
from mlops_compile.steps.measure import Answers, why_not
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.resampled import Block, resampled

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_CELLS = 1 << 18  # of a block of resamples x rows: 2 MiB an array, which a cache can hold
_LEAST_DEFINED = 0.95


def intervals(
    names: tuple[str, ...],
    answers: Answers,
    baseline: Answers,
    asked: Bootstrap,
    options: MetricOptions,
    seed: int,
) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
    """Metric -> interval, metric -> interval of its difference to the baseline (model - baseline,
    on the same resamples), and metric -> why there is none."""
    rows = len(answers.truth)
    if rows > asked.most_rows:
        why = f"{rows} rows are more than evaluate.bootstrap.most_rows ({asked.most_rows})"
        return {}, {}, dict.fromkeys(names, why)
    if len(answers.classes) == 2:  # sorted once, so that no resample is
        order = np.argsort(-answers.predicted[:, 1], kind="stable")
        answers, baseline = answers.take(order), baseline.take(order)
    mine = {name: resampled(name, answers, options) for name in names}
    other = {
        name: resampled(name, baseline, options)
        for name in names
        if not why_not(METRICS[name], baseline)
    }
    values: dict[str, list[Array]] = {name: [] for name in names}
    others: dict[str, list[Array]] = {name: [] for name in other}
    for weights in _blocks(answers, asked.resamples, seed):
        block = Block(weights)
        for name in names:
            values[name].append(mine[name](block))
        for name in other:
            others[name].append(other[name](block))
    found: dict[str, Value] = {}
    differences: dict[str, Value] = {}
    missing: dict[str, Value] = {}
    for name in names:
        scores = np.concatenate(values[name])
        if (interval := _interval(scores, asked.level)) is None:
            defined = int(np.isfinite(scores).sum())
            missing[name] = f"it is defined in {defined} of {len(scores)} resamples only"
            continue
        found[name] = interval
        if name in other:
            difference = _interval(scores - np.concatenate(others[name]), asked.level)
            if difference is not None:
                differences[name] = difference
    return found, differences, missing


def scores_of(
    names: tuple[str, ...], answers: Answers, resamples: int, options: MetricOptions, seed: int
) -> dict[str, Array]:
    """Metric -> what it is on each resample, NaN where it has no meaning."""
    if len(answers.classes) == 2:
        answers = answers.take(np.argsort(-answers.predicted[:, 1], kind="stable"))
    functions = {name: resampled(name, answers, options) for name in names}
    blocks = map(Block, _blocks(answers, resamples, seed))
    values = [{name: function(block) for name, function in functions.items()} for block in blocks]
    return {name: np.concatenate([value[name] for value in values]) for name in names}


def _blocks(answers: Answers, resamples: int, seed: int) -> Iterator[Array]:
    """Weights of rows, some resamples at a time; RandomState's stream is frozen."""
    rows, weights = len(answers.truth), answers.weights
    random = np.random.RandomState(seed)
    size = max(1, min(resamples, _CELLS // rows))
    for start in range(0, resamples, size):
        block = np.empty((min(size, resamples - start), rows))
        for place in range(len(block)):
            drawn = random.randint(0, rows, rows)
            block[place] = np.bincount(drawn, minlength=rows)
        yield block * weights


def _interval(scores: Array, level: float) -> Map | None:
    defined = scores[np.isfinite(scores)]
    if len(defined) < _LEAST_DEFINED * len(scores):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Map({"low": float(low) + 0.0, "high": float(high) + 0.0})
