"""Calibration, thresholds and metrics of runs are scikit-learn's, on the rows that they are of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from mlops_compile.steps.metrics import METRICS
from tests.libraries.measures import by_scikit_learn
from tests.libraries.runs import Array, Project, Run
from tests.libraries.sets import SETS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*does not appear to accept sample_weight"),
    pytest.mark.filterwarnings("ignore:.*(mean of empty slice|y_pred contains classes)"),
]
Of = Callable[[str], Project]
SMALL = ("model.params.num_iterations=15", "model.params.num_leaves=15")
WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


class Told(ClassifierMixin, BaseEstimator):
    """A model that was fitted before, of which only the probabilities are known."""

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return X.argmax(axis=1)

    def predict_proba(self, X: Any) -> Any:
        return X


def scores(run: Run, part: str) -> Array:
    """What the model of the run gives for a part's rows, before anything is done with it."""
    import lightgbm

    files = dict(run.store.blobs.tree(run.record["train"].output("model")))
    booster = lightgbm.Booster(model_file=str(run.store.blobs.read(files["lightgbm.txt"])))
    found = booster.predict(run.features[run.rows(part)])
    return np.column_stack([1 - found, found]) if len(run.classes) == 2 else np.asarray(found)


def calibrated(run: Run, method: str, part: str) -> Array:
    """The probabilities of a part by CalibratedClassifierCV, fitted on the validation part."""
    rows = run.rows("validation")
    model = FrozenEstimator(Told().fit(None, run.truth))
    right = CalibratedClassifierCV(model, method={"platt": "sigmoid"}.get(method, method))
    right.fit(scores(run, "validation"), run.truth[rows], sample_weight=run.weighing(rows))
    return right.predict_proba(scores(run, part))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("method", ["platt", "isotonic"])
@WEIGHTED
def test_calibration(project: Of, name: str, task: str, method: str, weighted: bool) -> None:
    run = project(name).run(task, *SMALL, f"+model.calibration.method={method}", weighted=weighted)
    expected = calibrated(run, method, "test")
    # A sigmoid is the C library's exponential, where scikit-learn has one of its own.
    near = {"rtol": 1e-13, "atol": 1e-300} if method == "platt" else {"rtol": 1e-15, "atol": 0}
    assert np.allclose(run.predicted, expected, **near)
    assert not np.array_equal(run.predicted, scores(run, "test"))
    test = run.rows("test")
    found = by_scikit_learn(run.metrics, run.truth[test], run.predicted, run.weighing(test))
    assert run.metrics == found


def rate(name: str, truth: Array, answers: Array, weight: Array | None) -> float:
    predicted = np.column_stack([~answers, answers]).astype("float64")
    return by_scikit_learn([name], truth, predicted, weight)[name]


def costs(wrong: float, missed: float) -> Callable[[Array, Array, Array | None], float]:
    def of(truth: Array, answers: Array, weight: Array | None) -> float:
        matrix = sklearn.metrics.confusion_matrix(truth, answers, sample_weight=weight)
        return -float(matrix[0, 1] * wrong + matrix[1, 0] * missed)

    return of


RULES: list[tuple[str, Any, Any]] = [
    *(
        (
            f"{{rule: metric, metric: {name}}}",
            lambda t, a, w, name=name: rate(name, t, a, w),
            None,
        )
        for name in ("f1", "balanced_accuracy", "accuracy")
    ),
    (
        "{rule: constraint, metric: precision, at_least: 0.6, maximise: recall}",
        lambda t, a, w: rate("recall", t, a, w),
        lambda t, a, w: rate("precision", t, a, w) >= 0.6,
    ),
    ("{rule: costs, false_positive: 1, false_negative: 5}", costs(1, 5), None),
    ("{rule: fixed, value: 0.3}", None, None),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("rule", "worth", "keeps"), RULES, ids=[case[0] for case in RULES])
@pytest.mark.parametrize(
    ("method", "weighted"), [("", False), ("", True), ("isotonic", True)], ids=str
)
def test_thresholds(
    project: Of, name: str, rule: str, worth: Any, keeps: Any, method: str, weighted: bool
) -> None:
    """No threshold is better on the validation part; the answers to the test part follow it.

    Sums of weights in another order may differ in the last bits, so equally good is within 1e-12.
    """
    words = [*SMALL, f"+model.threshold={rule}"]
    words += [f"+model.calibration.method={method}"] if method else []
    run = project(name).run("binary", *words, weighted=weighted)
    decision = json.loads(run.path("threshold", "decision").read_text())
    threshold = decision["threshold"]
    rows = run.rows("validation")
    truth, weight = run.truth[rows], run.weighing(rows)
    chances = calibrated(run, method, "validation") if method else scores(run, "validation")
    positive = chances[:, 1]
    for metric, value in decision["reached"].items():
        assert value == pytest.approx(rate(metric, truth, positive >= threshold, weight), abs=1e-12)
    if worth is None:
        assert threshold == 0.3
    else:
        every = np.unique(np.append(positive, np.nextafter(positive.max(), np.inf)))
        if len(every) > 400:  # of many, some: each must be no better
            every = every[np.linspace(0, len(every) - 1, 400).astype(int)]
        taken = [t for t in every if keeps is None or keeps(truth, positive >= t, weight)]
        best = max(worth(truth, positive >= t, weight) for t in taken)
        mine = worth(truth, positive >= threshold, weight)
        assert mine >= best - 1e-12 * max(1.0, abs(best))
        assert keeps is None or keeps(truth, positive >= threshold, weight)
    test = run.rows("test")
    answers = (run.predicted[:, 1] >= threshold).astype("int64")
    found = by_scikit_learn(
        run.metrics, run.truth[test], run.predicted, run.weighing(test), answers
    )
    assert run.metrics == found


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@WEIGHTED
def test_every_metric(project: Of, name: str, task: str, weighted: bool) -> None:
    """On the training part too; the baseline's are those of class shares, or of the mean."""
    every = [metric for metric, kind in METRICS.items() if task in kind.tasks]
    words = [*SMALL, f"evaluate.metrics=[{','.join(every)}]", "evaluate.train=true"]
    words += ["model.params.objective=poisson"] if task == "regression" else []
    run = project(name).run(task, *words, weighted=weighted)
    test, train = run.rows("test"), run.rows("train")
    measured = json.loads(run.path("evaluate", "metrics").read_text())
    assert [*measured["test"]] == sorted(every)
    constant = np.average(
        np.eye(len(run.classes))[run.truth[train]] if run.classes else run.truth[train],
        axis=0,
        weights=run.weighing(train),
    )
    parts = {"test": (test, run.predicted)}
    shape = (len(test), 1) if run.classes else len(test)
    parts["baseline"] = test, np.tile(constant, shape)
    for part in ("train", "validation"):
        given = scores(run, part)
        parts[part] = run.rows(part), given
    for part, (rows, predicted) in parts.items():
        found = by_scikit_learn(measured[part], run.truth[rows], predicted, run.weighing(rows))
        if part == "baseline":  # a mean of weights in another order
            assert measured[part] == pytest.approx(found, rel=1e-12, abs=1e-12)
        else:
            assert measured[part] == found
