"""Real performance: metrics of the rows whose truth is known, and of their segments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.value import Map
from mlops_compile.monitor.performance import performance, segments
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.monitoring import Monitor, Performance
from tests.monitoring import reference_of, window_of

Array = np.ndarray[Any, Any]
MONITOR = Monitor()
CLASSES = ("no", "yes")
CITIES = np.array(["north", "south", "west"], dtype=object)


def _answers(rows: int, seed: int, noise: float = 0.0) -> tuple[Array, Array]:
    """Probabilities and truths, of which a share is by accident."""
    random = np.random.RandomState(seed)
    positive = 1 / (1 + np.exp(-random.normal(0, 2, rows)))
    chances = np.where(random.uniform(size=rows) < noise, 0.5, positive)
    truth = (random.uniform(size=rows) < chances).astype("int64")
    return np.column_stack([1 - positive, positive]), truth


def _band(found: Finding) -> tuple[float, float]:
    assert found.low is not None and found.high is not None
    return found.low, found.high


def test_the_metrics_are_those_of_the_labelled_rows() -> None:
    reference = reference_of({}, *_answers(5000, 0), CLASSES)
    predicted, truth = _answers(4000, 1)
    known = np.where(np.arange(4000) % 2 == 0, truth, -1)
    found = [*performance(reference, window_of({}, predicted, known, CLASSES), MONITOR)]
    assert found[0].test == "roc_auc" and {f.test for f in found} == {*reference.metrics}
    for one in found:
        real = METRICS[one.test].score(truth[::2], predicted[::2])
        assert one.value == pytest.approx(real)
        low, high = _band(one)
        assert low < real < high and one.reference == reference.metrics[one.test]
    assert not any(f.alert for f in found)
    assert "of 2,000 rows whose truth is known" in found[0].message


def test_only_a_primary_metric_that_is_surely_and_much_worse_is_an_alert() -> None:
    reference = reference_of({}, *_answers(5000, 0), CLASSES)
    window = window_of({}, *_answers(3000, 1, noise=0.6), CLASSES)
    found = [*performance(reference, window, MONITOR)]
    assert [f.test for f in found if f.alert] == ["roc_auc"]
    assert found[0].message.startswith("worse than allowed: roc_auc is 0.")
    lenient = replace(MONITOR, performance=Performance(worse=0.5))
    assert not any(f.alert for f in performance(reference, window, lenient))
    small = window_of({}, *_answers(200, 3, noise=0.15), CLASSES)
    found = [*performance(reference, small, replace(MONITOR, performance=Performance(worse=0)))]
    assert _band(found[0])[1] > found[0].reference and not found[0].alert  # type: ignore[operator]


@pytest.mark.slow
def test_windows_like_the_test_rows_are_no_alert_even_of_a_small_test_part() -> None:
    """The test rows' own uncertainty is in the band: of 100 pairs of 400 test rows and 4,000
    others, hardly one is judged worse, though nothing needs to be worse by a share."""
    asked = replace(MONITOR, performance=Performance(worse=0))
    alerts = 0
    for seed in range(100):
        reference = reference_of({}, *_answers(400, seed), CLASSES, metrics=("roc_auc",))
        window = window_of({}, *_answers(4000, 1000 + seed), CLASSES)
        alerts += any(f.alert for f in performance(reference, window, asked))
    assert alerts <= 4


def test_regression_has_real_performance() -> None:
    random = np.random.RandomState(0)
    truth = random.normal(size=3000)
    reference = reference_of({}, truth + random.normal(0, 0.3, 3000), truth)
    window = window_of({}, truth + random.normal(0, 0.9, 3000), np.where(truth > 1, np.nan, truth))
    found = [*performance(reference, window, MONITOR)]
    assert [f.test for f in found if f.alert] == ["r2"]
    assert {f.test for f in found} == {"r2", "rmse", "mae"}


def test_many_rows_have_the_band_of_all_of_them() -> None:
    """Resamples are of some rows, the value and the band's width of all."""
    reference = reference_of({}, *_answers(1_000_000, 0), CLASSES, metrics=("brier",))
    widths = {}
    for rows in (20_000, 320_000):
        window = window_of({}, *_answers(rows, 1), CLASSES)
        (found,) = performance(reference, window, MONITOR)
        low, high = _band(found)
        widths[rows] = high - low
        assert found.value == pytest.approx(METRICS["brier"].score(window.truth, window.predicted))
    ratio = np.sqrt((1 / 20_000 + 1e-6) / (1 / 320_000 + 1e-6))
    assert widths[20_000] / widths[320_000] == pytest.approx(ratio, rel=0.25)


def test_without_truths_nothing_is_told_and_with_few_that_they_are_few() -> None:
    reference = reference_of({}, *_answers(1000, 0), CLASSES)
    predicted, truth = _answers(1000, 1)
    assert not [*performance(reference, window_of({}, predicted, None, CLASSES), MONITOR)]
    few = np.where(np.arange(1000) < 199, truth, -1)
    (found,) = performance(reference, window_of({}, predicted, few, CLASSES), MONITOR)
    assert found.value is None and not found.alert
    assert found.message == (
        "performance is not told: the truth of 199 of the 200 rows that it takes is known"
    )


def test_a_metric_without_a_meaning_says_why() -> None:
    reference = reference_of({}, *_answers(1000, 0), CLASSES, metrics=("roc_auc", "accuracy"))
    predicted, _ = _answers(500, 1)
    found = [*performance(reference, window_of({}, predicted, np.ones(500), CLASSES), MONITOR)]
    assert [f.value is None for f in found] == [True, False]
    assert found[0].message == "roc_auc is not told: no row has the class 'no'"


def _cities(rows: int) -> Array:
    return CITIES[np.arange(rows) % 3]


def _mixed(rows: int, bad: str | None, noise: float) -> tuple[Array, Array]:
    good, other = _answers(rows, 5), _answers(rows, 5, noise)
    places = (_cities(rows) == bad)[:, None]
    return np.where(places, other[0], good[0]), np.where(places[:, 0], other[1], good[1])


def test_a_segment_that_is_worse_is_found() -> None:
    reference = reference_of(
        {}, *_answers(6000, 0), CLASSES, segments={"city": _cities(6000)}, metrics=("roc_auc",)
    )
    held = {"city": _cities(3000)}
    window = window_of({}, *_mixed(3000, "south", 0.8), CLASSES, segments=held)
    found = [*segments(reference, window, MONITOR)]
    assert [f.feature for f in found] == ["city=north", "city=south", "city=west"]
    assert [f.feature for f in found if f.alert] == ["city=south"]
    assert "roc_auc of city 'south' is 0." in found[1].message
    rows = _cities(3000) == "south"
    real = METRICS["roc_auc"].score(window.truth[rows], window.predicted[rows])
    assert found[1].value == pytest.approx(real)
    facts = reference.segments["city"]["levels"]["south"]  # type: ignore[index, call-overload]
    assert isinstance(facts, Map) and found[1].reference == facts["metrics"]["roc_auc"]  # type: ignore[index, call-overload]
    same = window_of({}, *_mixed(3000, None, 0), CLASSES, segments=held)
    assert not any(f.alert for f in segments(reference, same, MONITOR))


def test_segments_with_few_labelled_rows_are_not_told() -> None:
    reference = reference_of(
        {}, *_answers(6000, 0), CLASSES, segments={"city": _cities(6000)}, metrics=("roc_auc",)
    )
    predicted, truth = _answers(900, 1)
    hidden = (_cities(900) == "west") & (np.arange(900) > 290)
    window = window_of(
        {}, predicted, np.where(hidden, -1, truth), CLASSES, segments={"city": _cities(900)}
    )
    assert [f.feature for f in segments(reference, window, MONITOR)] == ["city=north", "city=south"]


@pytest.mark.slow
def test_many_segments_together_seldom_alarm() -> None:
    """Of 20 windows with 30 segments each, that are like the test rows, hardly one has an alert."""
    names = np.array([f"place {place}" for place in range(30)], dtype=object)
    asked = replace(MONITOR, performance=Performance(worse=0))
    held = {"place": names[np.arange(6000) % 30]}
    alerts = 0
    for seed in range(20):
        reference = reference_of(
            {}, *_answers(6000, seed), CLASSES, segments=held, metrics=("roc_auc",)
        )
        window = window_of({}, *_answers(6000, 100 + seed), CLASSES, segments=held)
        found = [*segments(reference, window, asked)]
        assert len(found) == 30
        alerts += any(f.alert for f in found)
    assert alerts <= 3
