"""Calibration is scikit-learn's; a threshold is the best of all, by the rule that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.value import Map
from mlops_compile.steps.calibrate import curves
from mlops_compile.steps.calibrations import calibrated, interpolated
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.threshold import choose
from mlops_compile.steps.thresholds import RATES, Threshold


class Told(ClassifierMixin, BaseEstimator):
    """A model whose probabilities are its rows."""

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return X.argmax(axis=1)

    def predict_proba(self, X: Any) -> Any:
        return X


def _rows(classes: int, count: int = 400) -> tuple[Any, Any]:
    draw = np.random.RandomState(5)
    truth = np.arange(count) % classes
    raw = draw.normal(size=(count, classes)) + 1.5 * np.eye(classes)[truth]
    powers = np.exp(np.round(raw, 1))  # with ties
    return powers / powers.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize(("method", "theirs"), [("platt", "sigmoid"), ("isotonic", "isotonic")])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:.*does not appear to accept sample_weight")
def test_calibration_is_scikit_learns(
    classes: int, method: str, theirs: str, weighted: bool
) -> None:
    predicted, truth = _rows(classes)
    half, other = predicted[:200], predicted[200:]
    draw = np.random.RandomState(6)
    weights = draw.exponential(size=200) * (draw.uniform(size=200) < 0.9) if weighted else None
    model = FrozenEstimator(Told().fit(half, truth[:200]))
    right = CalibratedClassifierCV(model, method=theirs)
    right.fit(half, truth[:200], sample_weight=weights)
    made = Map({"curves": curves(method, half, truth[:200], weights), "method": method})
    assert not weighted or made["curves"] != curves(method, half, truth[:200])
    hostile = np.vstack([other, half, np.eye(classes), np.full((1, classes), 1 / classes)])
    found = calibrated(made, hostile)
    assert np.array_equal(found, right.predict_proba(hostile))


def test_an_isotonic_curve_of_one_point_is_flat() -> None:
    predicted = np.column_stack([np.full(9, 0.75), np.full(9, 0.25)])
    made = Map({"curves": curves("isotonic", predicted, np.arange(9) % 3 == 0)})
    assert np.allclose(calibrated(made, np.array([[0.9, 0.1], [0.0, 1.0]]))[:, 1], 1 / 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9, unique=True), st.floats(-0.5, 1.5))
def test_interpolation_is_numpys(points: list[float], value: float) -> None:
    x = tuple(sorted(points))
    y = tuple(np.linspace(0.1, 0.9, len(x)).tolist())
    assert interpolated(x, y, value) == np.interp(value, x, y)


def test_where_every_curve_says_zero_classes_are_alike() -> None:
    zero = Map({"x": (0.0, 1.0), "y": (0.0, 0.0)})
    found = calibrated(Map({"curves": (zero, zero, zero)}), np.full((2, 3), 1 / 3))
    assert np.array_equal(found, np.full((2, 3), 1 / 3))


# Thresholds

SCORED = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.500001, 0.7, 1.0]),
        st.sampled_from([1.0, 0.0, 0.25, 2.0, 7.0]),  # weights, whose sums are exact
    ),
    min_size=2,
    max_size=30,
).filter(lambda rows: {truth for truth, _, weight in rows if weight} == {False, True})


def test_the_rates_are_the_binary_metrics_of_answers() -> None:
    named = {
        n for n, metric in METRICS.items() if metric.form == "labels" and "binary" in metric.tasks
    }
    assert {*RATES} <= named


def _by_hand(name: str, truth: Any, answers: Any, weights: Any) -> float:
    return METRICS[name].score(truth, np.column_stack([1 - answers, answers]), weights)


def _every(scores: Any) -> list[float]:
    return [*sorted(set(scores.tolist())), float(np.nextafter(scores.max(), np.inf))]


def _parts(rows: Any, weighted: bool) -> tuple[Any, Any, Any]:
    truth, scores, weights = (np.array(part) for part in zip(*rows, strict=True))
    return truth, scores, weights if weighted else None


@given(SCORED, st.booleans())
@pytest.mark.parametrize("name", sorted(RATES))
def test_the_best_threshold_of_a_metric(name: str, rows: Any, weighted: bool) -> None:
    truth, scores, weights = _parts(rows, weighted)
    found = choose(Threshold(rule="metric", metric=name), truth.astype(int), scores, weights)
    worth = {t: _by_hand(name, truth, (scores >= t).astype(float), weights) for t in _every(scores)}
    best = max(worth.values())
    tied = [t for t, value in worth.items() if value == pytest.approx(best, abs=1e-12)]
    assert found in tied
    exact = [t for t, value in worth.items() if value == worth[found]]
    assert abs(found - 0.5) == min(abs(t - 0.5) for t in exact)


@given(SCORED, st.floats(0, 9), st.floats(0.1, 9), st.booleans())
def test_the_threshold_of_least_costs(
    rows: Any, wrong: float, missed: float, weighted: bool
) -> None:
    truth, scores, weights = _parts(rows, weighted)
    each = np.ones(len(rows)) if weights is None else weights
    rule = Threshold(rule="costs", false_positive=wrong, false_negative=missed)

    def cost(threshold: float) -> float:
        answers = scores >= threshold
        return each[answers & ~truth].sum() * wrong + each[~answers & truth].sum() * missed

    found = choose(rule, truth.astype(int), scores, weights)
    assert cost(found) == pytest.approx(min(map(cost, _every(scores))))


@given(SCORED, st.floats(0, 1), st.booleans())
def test_a_constraint_is_kept_or_the_most_is_told(rows: Any, least: float, weighted: bool) -> None:
    truth, scores, weights = _parts(rows, weighted)
    own = {"sample_weight": weights}
    rule = Threshold(rule="constraint", metric="precision", at_least=least, maximise="recall")
    reached = [
        sklearn.metrics.precision_score(truth, scores >= t, zero_division=0.0, **own)
        for t in _every(scores)
    ]
    if max(reached) < least:
        with pytest.raises(StepError, match="the most that one reaches is") as caught:
            choose(rule, truth.astype(int), scores, weights)
        assert f"{max(reached):.6g}" in caught.value.problems[0].message
        return
    found = choose(rule, truth.astype(int), scores, weights)
    recalls = [
        sklearn.metrics.recall_score(truth, scores >= t, **own)
        for t, value in zip(_every(scores), reached, strict=True)
        if value >= least
    ]
    reached_there = sklearn.metrics.precision_score(
        truth, scores >= found, zero_division=0.0, **own
    )
    assert reached_there >= least
    assert sklearn.metrics.recall_score(truth, scores >= found, **own) == max(recalls)


def test_of_equal_thresholds_the_nearest_to_a_half_then_the_higher_is_taken() -> None:
    truth, scores = np.array([0, 0, 1, 1]), np.array([0.2, 0.25, 0.75, 0.9])
    rule = Threshold(rule="costs", false_positive=0.0, false_negative=1.0)
    assert choose(rule, truth, scores) == 0.75  # 0.2, 0.25 and 0.75 cost nothing
