"""Metrics: scikit-learn's, by their names, weighted and not, and what has no meaning says why."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as reference

from mlops_compile.steps.evaluation import Bootstrap, MetricOptions
from mlops_compile.steps.intervals import intervals
from mlops_compile.steps.measure import Answers, measure, number
from mlops_compile.steps.metrics import METRICS, USUAL, labels_of
from mlops_compile.steps.resampled import Block, resampled

RANDOM = np.random.RandomState(0)
ROWS = 300
OPTIONS = MetricOptions(alpha=0.8, beta=0.5, k=2, power=1.3)
CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks]


def _answers(task: str) -> Answers:
    """Predictions with ties and truths that follow them in part: of classes in shares like those
    of incomes, of several classes, and of amounts."""
    if task == "regression":
        truth = RANDOM.gamma(2.0, 3.0, ROWS)
        return Answers(truth=truth, predicted=np.abs(truth + RANDOM.normal(size=ROWS)) + 0.01)
    classes = ("no", "yes") if task == "binary" else ("a", "b", "c", "d")
    scores = RANDOM.dirichlet([3.0, *[1.0] * (len(classes) - 1)], ROWS).round(2) + 0.001
    scores /= scores.sum(axis=1, keepdims=True)
    noise = RANDOM.randint(0, len(classes), ROWS)
    truth = np.where(RANDOM.uniform(size=ROWS) < 0.6, scores.argmax(axis=1), noise)
    return Answers(truth=truth, predicted=scores, classes=classes)


ANSWERS = {task: _answers(task) for task in USUAL}
WEIGHTS = RANDOM.uniform(0.1, 3.0, ROWS)
WEIGHTS[:9] = 0.0


def _expected(name: str, answers: Answers) -> float:
    """scikit-learn, called as a script would call it."""
    y, p, w = answers.truth, answers.predicted, answers.weight
    label = p.argmax(axis=1) if answers.classes else p
    classes = list(range(len(answers.classes)))
    macro = {"average": "macro", "sample_weight": w}
    weighted = {"sample_weight": w}
    calls = {
        "roc_auc": lambda: reference.roc_auc_score(y, p[:, 1], **weighted),
        "average_precision": lambda: reference.average_precision_score(y, p[:, 1], **weighted),
        "brier": lambda: reference.brier_score_loss(y, p[:, 1], **weighted),
        "f1": lambda: reference.f1_score(y, label, **weighted),
        "precision": lambda: reference.precision_score(y, label, **weighted),
        "recall": lambda: reference.recall_score(y, label, **weighted),
        "fbeta": lambda: reference.fbeta_score(y, label, beta=0.5, **weighted),
        "jaccard": lambda: reference.jaccard_score(y, label, **weighted),
        "log_loss": lambda: reference.log_loss(y, p, labels=classes, **weighted),
        "d2_log_loss": lambda: reference.d2_log_loss_score(y, p, labels=classes, **weighted),
        "d2_brier": lambda: reference.d2_brier_score(y, p, labels=classes, **weighted),
        "accuracy": lambda: reference.accuracy_score(y, label, **weighted),
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(y, label, **weighted),
        "matthews_corrcoef": lambda: reference.matthews_corrcoef(y, label, **weighted),
        "cohen_kappa": lambda: reference.cohen_kappa_score(y, label, **weighted),
        "macro_f1": lambda: reference.f1_score(y, label, **macro),
        "macro_precision": lambda: reference.precision_score(y, label, **macro),
        "macro_recall": lambda: reference.recall_score(y, label, **macro),
        "weighted_f1": lambda: reference.f1_score(y, label, average="weighted", **weighted),
        "roc_auc_ovr": lambda: reference.roc_auc_score(y, p, multi_class="ovr", **weighted),
        "top_k_accuracy": lambda: reference.top_k_accuracy_score(y, p, k=2, **weighted),
        "r2": lambda: reference.r2_score(y, p, **weighted),
        "explained_variance": lambda: reference.explained_variance_score(y, p, **weighted),
        "d2_absolute_error": lambda: reference.d2_absolute_error_score(y, p, **weighted),
        "d2_pinball": lambda: reference.d2_pinball_score(y, p, alpha=0.8, **weighted),
        "d2_tweedie": lambda: reference.d2_tweedie_score(y, p, power=1.3, **weighted),
        "rmse": lambda: reference.root_mean_squared_error(y, p, **weighted),
        "mse": lambda: reference.mean_squared_error(y, p, **weighted),
        "mae": lambda: reference.mean_absolute_error(y, p, **weighted),
        "median_ae": lambda: reference.median_absolute_error(y, p, **weighted),
        "max_error": lambda: reference.max_error(y, p),
        "mape": lambda: reference.mean_absolute_percentage_error(y, p, **weighted),
        "msle": lambda: reference.mean_squared_log_error(y, p, **weighted),
        "rmsle": lambda: reference.root_mean_squared_log_error(y, p, **weighted),
        "mean_pinball_loss": lambda: reference.mean_pinball_loss(y, p, alpha=0.8, **weighted),
        "mean_poisson_deviance": lambda: reference.mean_poisson_deviance(y, p, **weighted),
        "mean_gamma_deviance": lambda: reference.mean_gamma_deviance(y, p, **weighted),
        "mean_tweedie_deviance": lambda: reference.mean_tweedie_deviance(
            y, p, power=1.3, **weighted
        ),
    }
    return float(calls[name]())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_metric_is_what_its_name_says(name: str, task: str, weighted: bool) -> None:
    answers = replace(ANSWERS[task], weight=WEIGHTS if weighted else None)
    assert number(METRICS[name], answers, OPTIONS) == pytest.approx(
        _expected(name, answers), rel=1e-12
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_resample_is_measured_as_its_rows_are(name: str, task: str, weighted: bool) -> None:
    """The forms for many resamples give what scikit-learn gives for each of them; for one that
    draws whole rows, also what it gives for the rows themselves, again and again."""
    answers = replace(ANSWERS[task], weight=WEIGHTS if weighted else None)
    drawn = [RANDOM.randint(0, ROWS, ROWS) for _ in range(8)]
    counts = np.array([np.bincount(rows, minlength=ROWS) for rows in drawn])
    scores = resampled(name, answers, OPTIONS)(Block(counts * answers.weights))
    for score, rows in zip(scores, drawn, strict=True):
        assert score == pytest.approx(number(METRICS[name], answers.take(rows), OPTIONS), rel=1e-9)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_perfect_answer_is_the_best(name: str, task: str) -> None:
    """The direction and the bounds are right: perfect predictions beat those of a noisy model."""
    metric, answers = METRICS[name], ANSWERS[task]
    perfect = answers.truth if task == "regression" else np.eye(len(answers.classes))[answers.truth]
    best = number(metric, answers.instead(perfect), OPTIONS)
    usual = number(metric, answers, OPTIONS)
    assert best > usual if metric.greater_is_better else best < usual
    end = metric.high if metric.greater_is_better else metric.low
    assert best == pytest.approx(end, abs=1e-9)
    assert metric.low <= usual <= metric.high


@pytest.mark.parametrize("name", sorted(METRICS))
def test_only_what_scikit_learn_cannot_weigh_is_not_weighted(name: str) -> None:
    function = getattr(reference, METRICS[name].function)
    takes = "sample_weight" in inspect.signature(function).parameters
    assert takes == METRICS[name].weighted


def test_labels_follow_the_threshold() -> None:
    predicted = np.array([[0.5, 0.5], [0.7, 0.3], [0.2, 0.8]])
    assert labels_of(predicted).tolist() == [0, 0, 1]
    assert labels_of(predicted, 0.3).tolist() == [1, 1, 1]
    answers = Answers(truth=np.array([1, 0, 1]), predicted=predicted, classes=("n", "y"))
    assert number(METRICS["recall"], answers, OPTIONS) == 0.5
    assert number(METRICS["recall"], replace(answers, decision=0.5), OPTIONS) == 1.0


@pytest.mark.parametrize("name", ["log_loss", "accuracy", "macro_f1", "top_k_accuracy"])
def test_a_part_without_some_class_is_measured(name: str) -> None:
    answers = ANSWERS["multiclass"]
    assert measure([name], answers.take(np.flatnonzero(answers.truth != 2)), OPTIONS)[0]


@pytest.mark.parametrize("task", sorted(USUAL))
@pytest.mark.parametrize("rows", [0, 1])
def test_what_has_no_meaning_says_why(task: str, rows: int) -> None:
    """Of no row and of one: each metric is a finite number, or a reason stands in its place."""
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    found, missing = measure(names, ANSWERS[task].take(np.arange(rows)), OPTIONS)
    assert {*found} | {*missing} == {*names} and not {*found} & {*missing}
    assert all(math.isfinite(value) for value in found.values())  # type: ignore[arg-type]
    assert all(missing.values())
    if not rows:
        assert not found and set(missing.values()) == {"there are no rows"}


def test_a_missing_class_is_named() -> None:
    answers = ANSWERS["binary"]
    _, missing = measure(["roc_auc", "recall"], answers.take(answers.truth == 0), OPTIONS)
    assert missing == dict.fromkeys(("roc_auc", "recall"), "no row has the class 'yes'")
    light = replace(answers, weight=(answers.truth == 0).astype(float))
    assert measure(["roc_auc"], light, OPTIONS)[1] == {"roc_auc": "no row has the class 'yes'"}
    none = replace(answers, weight=np.zeros(ROWS))
    assert measure(["accuracy"], none, OPTIONS)[1] == {"accuracy": "all weights are 0"}
    constant = ANSWERS["regression"].take(np.zeros(5, int))
    assert "one value" in str(measure(["r2"], constant, OPTIONS)[1]["r2"])


def test_scikit_learns_refusal_is_the_reason() -> None:
    answers = Answers(truth=np.array([-2.0, 1.0]), predicted=np.array([1.0, 1.0]))
    found, missing = measure(["msle", "mae"], answers, OPTIONS)
    assert list(found) == ["mae"] and "Mean Squared Logarithmic Error" in str(missing["msle"])


# Intervals


def _intervals(answers: Answers, names: tuple[str, ...], **asked: object):
    baseline = answers.instead(np.tile(np.full(2, 0.5), (len(answers.truth), 1)))
    return intervals(names, answers, baseline, Bootstrap(**asked), OPTIONS, seed=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("weighted", [False, True])
def test_an_interval_is_that_of_the_plain_bootstrap(weighted: bool) -> None:
    """The same draws, each measured by scikit-learn on the rows that were drawn."""
    answers = replace(ANSWERS["binary"], weight=WEIGHTS if weighted else None)
    names = USUAL["binary"]
    found, above, missing = _intervals(answers, names, resamples=60, level=0.9)
    assert not missing
    order = np.argsort(-answers.predicted[:, 1], kind="stable")
    random, rows = np.random.RandomState(3), answers.take(order)
    drawn = [rows.take(random.randint(0, ROWS, ROWS)) for _ in range(60)]
    for name in names:
        scores = [number(METRICS[name], sample, OPTIONS) for sample in drawn]
        constant = [
            number(METRICS[name], sample.instead(np.full((ROWS, 2), 0.5)), OPTIONS)
            for sample in drawn
        ]
        for interval, values in (
            (found[name], np.array(scores)),
            (above[name], np.array(scores) - constant),
        ):
            ends = np.quantile(values, [0.05, 0.95])
            assert [interval["low"], interval["high"]] == pytest.approx(ends, rel=1e-9)  # type: ignore[index, call-overload]


def test_too_many_rows_and_too_few_of_a_class_have_no_interval() -> None:
    answers = ANSWERS["binary"]
    _, _, missing = _intervals(answers, ("roc_auc",), most_rows=ROWS - 1)
    assert "evaluate.bootstrap.most_rows (299)" in str(missing["roc_auc"])
    rows = np.append(np.flatnonzero(answers.truth == 0), np.flatnonzero(answers.truth == 1)[:1])
    found, _, missing = _intervals(answers.take(rows), ("roc_auc", "accuracy"))
    assert list(found) == ["accuracy"] and "resamples only" in str(missing["roc_auc"])


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Accuracy of rows whose answers are right with 80 %: 90 % intervals of 300 test parts."""
    random, hits = np.random.RandomState(5), 0
    for seed in range(300):
        right = random.uniform(size=150) < 0.8
        answers = Answers(
            truth=np.zeros(150, int), predicted=np.eye(2)[(~right).astype(int)], classes=("a", "b")
        )
        asked = Bootstrap(resamples=200, level=0.9)
        interval = intervals(("accuracy",), answers, answers, asked, OPTIONS, seed)[0]["accuracy"]
        hits += interval["low"] <= 0.8 <= interval["high"]  # type: ignore[index, call-overload, operator]
    assert 0.84 <= hits / 300 <= 0.95
