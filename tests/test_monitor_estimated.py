"""Estimated performance: what labels would show lies in the band, though no label is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.ir.value import Map
from mlops_compile.monitor.estimated import estimates
from mlops_compile.monitor.observed import Window
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, measure
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.monitoring import Monitor, Performance
from tests.monitoring import reference_of, window_of

Array = np.ndarray[Any, Any]
MONITOR = Monitor()
BINARY = ("roc_auc", "average_precision", "f1", "log_loss", "brier", "accuracy")
SEVERAL = ("accuracy", "macro_f1", "log_loss", "roc_auc_ovr")


@dataclass(frozen=True)
class _Case:
    """A model's test rows, and a window of which the labels are known to the test alone."""

    reference: Reference
    window: Window
    truth: Array


def _case(model: Any, classes: int, seed: int, metrics: tuple[str, ...], tilt: float) -> _Case:
    """A fitted model, and a window whose records are others than the test rows': they were chosen
    by one of their columns."""
    names = tuple(f"class {place}" for place in range(classes))
    features, truth = make_classification(
        16_000,
        10,
        n_informative=6,
        n_classes=classes,
        weights=[0.8] if classes == 2 else None,
        class_sep=0.8,
        flip_y=0.05,
        random_state=seed,
    )
    model.fit(features[:4000], truth[:4000])
    test = model.predict_proba(features[4000:7000])
    random = np.random.RandomState(seed)
    chances = np.exp(tilt * features[7000:, 0] / features[:, 0].std())
    rows = 7000 + random.choice(9000, 3000, replace=False, p=chances / chances.sum())
    reference = reference_of({}, test, truth[4000:7000], names, metrics=metrics)
    window = window_of({}, model.predict_proba(features[rows]), None, names)
    return _Case(reference, window, truth[rows])


def _boosted() -> Any:
    return LGBMClassifier(n_estimators=60, verbose=-1, n_jobs=1)


def _forest() -> Any:
    return RandomForestClassifier(60, random_state=0, n_jobs=1)


def _bands(case: _Case) -> Iterator[tuple[str, float, float, float]]:
    """Metric, band and what it really is."""
    own = Answers(truth=case.truth, predicted=case.window.predicted, classes=case.reference.classes)
    real, _ = measure(tuple(case.reference.metrics), own, MetricOptions())
    for found in estimates(case.reference, case.window, MONITOR):
        low, high = (
            float(text) for text in found.message.split("(")[1].split(")")[0].split(" to ")
        )
        value = real[found.test]
        assert isinstance(value, float)
        yield found.test, low, high, value


CASES = {
    "boosting": (_boosted, 2, BINARY, 0.0),
    "boosting, other records": (_boosted, 2, BINARY, 0.7),
    "forest": (_forest, 2, BINARY, 0.0),
    "boosting, three classes": (_boosted, 3, SEVERAL, 0.0),
    "boosting, three classes, other records": (_boosted, 3, SEVERAL, 0.7),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_labels_show_lies_in_the_band(name: str) -> None:
    make, classes, metrics, tilt = CASES[name]
    within: dict[str, int] = dict.fromkeys(metrics, 0)
    for seed in range(30):
        for metric, low, high, real in _bands(_case(make(), classes, seed, metrics, tilt)):
            within[metric] += low <= real <= high
            # One row that was sure and wrong costs a forest's loss as much as hundreds of others.
            assert high - low < 0.25 or metric == "log_loss"
    assert min(within.values()) >= 27, within


def _scores(rows: int, mean: float, seed: int = 0) -> tuple[Array, Array]:
    """Probabilities that are right, and truths."""
    random = np.random.RandomState(seed)
    positive = 1 / (1 + np.exp(-random.normal(mean, 2, rows)))
    truth = (random.uniform(size=rows) < positive).astype("int64")
    return np.column_stack([1 - positive, positive]), truth


CLASSES = ("no", "yes")


def _primary(found: list[Finding]) -> Finding:
    return found[0]


def test_a_model_that_lost_its_confidence_is_an_alert() -> None:
    """Scores that have come close to a half answer worse, whatever the truth is."""
    reference = reference_of({}, *_scores(5000, 0), CLASSES)
    same = [*estimates(reference, window_of({}, _scores(3000, 0, 1)[0], None, CLASSES), MONITOR)]
    assert [f.test for f in same] == ["roc_auc", *sorted({*reference.metrics} - {"roc_auc"})]
    assert not any(f.alert for f in same)
    unsure = _scores(3000, 0, 1)[0] * 0.3 + 0.35
    found = [*estimates(reference, window_of({}, unsure, None, CLASSES), MONITOR)]
    assert [f.test for f in found if f.alert] == ["roc_auc"]
    first = _primary(found)
    assert first.reference is not None and first.threshold is not None and first.value is not None
    assert first.value < first.threshold < first.reference
    assert first.threshold == pytest.approx(first.reference * 0.95)
    assert all(f.threshold is None for f in found[1:])
    much = replace(MONITOR, performance=Performance(worse=0.5))
    assert not any(
        f.alert for f in estimates(reference, window_of({}, unsure, None, CLASSES), much)
    )


def test_a_loss_is_worse_where_it_is_more() -> None:
    reference = reference_of({}, *_scores(5000, 0), CLASSES, metrics=("log_loss",))
    unsure = _scores(3000, 0, 1)[0] * 0.3 + 0.35
    (found,) = estimates(reference, window_of({}, unsure, None, CLASSES), MONITOR)
    assert found.alert and found.value is not None and found.reference is not None
    assert found.value > found.reference
    sure = np.repeat([[0.001, 0.999]], 3000, axis=0)
    (found,) = estimates(reference, window_of({}, sure, None, CLASSES), MONITOR)
    assert not found.alert


def test_scores_that_were_never_right_are_corrected_as_the_test_rows_say() -> None:
    predicted, truth = _scores(20_000, 0)
    bent = predicted**3 / (predicted**3).sum(axis=1, keepdims=True)
    reference = reference_of({}, bent[:10_000], truth[:10_000], CLASSES, metrics=("log_loss",))
    (found,) = estimates(reference, window_of({}, bent[10_000:], None, CLASSES), MONITOR)
    real = METRICS["log_loss"].score(truth[10_000:], bent[10_000:])
    stated = float(-(bent * np.log(bent)).sum(axis=1).mean())
    assert found.value == pytest.approx(real, rel=0.1)
    assert stated < 0.5 * real


def test_a_threshold_and_options_of_metrics_count() -> None:
    predicted, truth = _scores(6000, 0)
    window = window_of({}, predicted[3000:], None, CLASSES)
    values = {}
    for threshold in (0.5, 0.9):
        for beta in (0.5, 2.0):
            reference = reference_of(
                {},
                predicted[:3000],
                truth[:3000],
                CLASSES,
                metrics=("fbeta",),
                threshold=threshold,
                options=Map({"beta": beta}),
            )
            (found,) = estimates(reference, window, MONITOR)
            real = METRICS["fbeta"].score(
                truth[3000:], predicted[3000:], None, MetricOptions(beta=beta), threshold
            )
            assert found.value == pytest.approx(real, abs=0.04)
            values[threshold, beta] = real
    assert len({round(value, 2) for value in values.values()}) == 4


def test_of_many_rows_some_are_taken_and_the_finding_says_so() -> None:
    reference = reference_of({}, *_scores(2000, 0), CLASSES, metrics=("roc_auc",))
    (found,) = estimates(reference, window_of({}, _scores(50_000, 0)[0], None, CLASSES), MONITOR)
    assert "of 20,000 of 50,000 rows" in found.message
    again = estimates(reference, window_of({}, _scores(50_000, 0)[0], None, CLASSES), MONITOR)
    assert [*again] == [found]


def test_numbers_few_rows_and_models_without_calibration_have_no_estimate() -> None:
    numbers = np.arange(1000.0)
    assert not [*estimates(reference_of({}, numbers, numbers), window_of({}, numbers), MONITOR)]
    reference = reference_of({}, *_scores(2000, 0), CLASSES)
    few = window_of({}, _scores(199, 0)[0], None, CLASSES)
    assert not [*estimates(reference, few, MONITOR)]
    bare = replace(reference, calibration=())
    enough = window_of({}, _scores(500, 0)[0], None, CLASSES)
    assert not [*estimates(bare, enough, MONITOR)]


def test_certain_scores_are_estimated_too() -> None:
    """Probabilities of 0 and 1, as of trees that were never wrong."""
    truth = np.arange(2000) % 2
    sure = np.eye(2)[truth]
    reference = reference_of({}, sure, truth, CLASSES, metrics=("roc_auc",))
    (found,) = estimates(reference, window_of({}, sure[:500], None, CLASSES), MONITOR)
    assert found.value == pytest.approx(1, abs=0.01) and not found.alert
