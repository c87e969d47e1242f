"""Metrics: scikit-learn's, by their names, on the probabilities that a model gives."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from mlops_compile.steps.metrics import METRICS

RANDOM = np.random.RandomState(0)
SCORES = RANDOM.dirichlet([1.0, 1.0], 80)
TRUTH = (SCORES[:, 1] + RANDOM.normal(size=80) * 0.3 > 0.5).astype("int64")
MANY = RANDOM.dirichlet([1.0, 1.0, 1.0], 80)
CLASSES = np.where(RANDOM.uniform(size=80) < 0.7, MANY.argmax(axis=1), RANDOM.randint(0, 3, 80))
NUMBERS, GUESSES = RANDOM.normal(size=80), RANDOM.normal(size=80)

EXPECTED = {
    "roc_auc": reference.roc_auc_score(TRUTH, SCORES[:, 1]),
    "average_precision": reference.average_precision_score(TRUTH, SCORES[:, 1]),
    "brier": reference.brier_score_loss(TRUTH, SCORES[:, 1]),
    "f1": reference.f1_score(TRUTH, SCORES[:, 1] > 0.5),
    "precision": reference.precision_score(TRUTH, SCORES[:, 1] > 0.5),
    "recall": reference.recall_score(TRUTH, SCORES[:, 1] > 0.5),
    "log_loss": reference.log_loss(TRUTH, SCORES),
    "accuracy": reference.accuracy_score(TRUTH, SCORES[:, 1] > 0.5),
    "balanced_accuracy": reference.balanced_accuracy_score(TRUTH, SCORES[:, 1] > 0.5),
    "macro_f1": reference.f1_score(CLASSES, MANY.argmax(axis=1), average="macro"),
    "roc_auc_ovr": reference.roc_auc_score(CLASSES, MANY, multi_class="ovr"),
    "r2": reference.r2_score(NUMBERS, GUESSES),
    "rmse": np.sqrt(np.mean((NUMBERS - GUESSES) ** 2)),
    "mae": np.mean(np.abs(NUMBERS - GUESSES)),
    "median_ae": np.median(np.abs(NUMBERS - GUESSES)),
}


def inputs(name: str, task: str) -> tuple[np.ndarray, np.ndarray]:
    return {"binary": (TRUTH, SCORES), "multiclass": (CLASSES, MANY)}.get(task, (NUMBERS, GUESSES))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_is_what_its_name_says(name: str) -> None:
    metric = METRICS[name]
    assert metric.score(*inputs(name, metric.tasks[0])) == pytest.approx(EXPECTED[name], rel=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_perfect_answer_is_the_best(name: str) -> None:
    """The direction is right: perfect predictions beat those of a noisy model."""
    metric = METRICS[name]
    for task in metric.tasks:
        truth, noisy = inputs(name, task)
        perfect = truth if task == "regression" else np.eye(noisy.shape[1])[truth]
        best, usual = metric.score(truth, perfect), metric.score(truth, noisy)
        assert best > usual if metric.greater_is_better else best < usual


@pytest.mark.parametrize("name", ["log_loss", "accuracy"])
def test_a_part_without_some_class_is_measured(name: str) -> None:
    rows = CLASSES != 2
    assert np.isfinite(METRICS[name].score(CLASSES[rows], MANY[rows]))
