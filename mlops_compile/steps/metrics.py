"""Metrics by scikit-learn's names: which task each is for, which way is better, how it is made."""

# scikit-learn and numpy are imported inside the functions that need them: compiling reads only
# the declarations.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_compile.steps.registry import table

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of true targets (class positions or numbers) and predictions (probabilities, rows x
    classes, or numbers). `greater_is_better` is the direction; it lies from `low` to `high`."""

    name: str
    tasks: tuple[str, ...]
    greater_is_better: bool
    score: Callable[[Array, Array], float]
    low: float
    high: float
    labels: bool = False


def _labels(function: str, **options: Any) -> Callable[[Array, Array], float]:
    """A metric of the most probable class (the first among equals)."""

    def score(truth: Array, predicted: Array) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, function)(truth, predicted.argmax(axis=1), **options))

    return score


def _positive(function: str) -> Callable[[Array, Array], float]:
    """A metric of the positive class's probability."""

    def score(truth: Array, predicted: Array) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, function)(truth, predicted[:, 1]))

    return score


def _log_loss(truth: Array, predicted: Array) -> float:
    import numpy as np
    import sklearn.metrics

    return float(sklearn.metrics.log_loss(truth, predicted, labels=np.arange(predicted.shape[1])))


def _roc_auc_ovr(truth: Array, predicted: Array) -> float:
    import numpy as np
    import sklearn.metrics

    total = predicted.sum(axis=1, keepdims=True)
    return float(
        sklearn.metrics.roc_auc_score(
            truth, predicted / total, multi_class="ovr", labels=np.arange(predicted.shape[1])
        )
    )


def _numbers(function: str) -> Callable[[Array, Array], float]:
    def score(truth: Array, predicted: Array) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, function)(truth, predicted))

    return score


_OF_LABELS = ("accuracy", "balanced_accuracy", "f1", "macro_f1", "precision", "recall")
_CLASSES = ("binary", "multiclass")
_ANY = float("inf")
METRICS: Mapping[str, Metric] = table(
    "metric",
    *(
        Metric(
            name=name,
            tasks=tasks,
            greater_is_better=greater,
            score=score,
            low=low,
            high=high,
            labels=name in _OF_LABELS,
        )
        for name, tasks, greater, low, high, score in (
            ("roc_auc", ("binary",), True, 0, 1, _positive("roc_auc_score")),
            ("average_precision", ("binary",), True, 0, 1, _positive("average_precision_score")),
            ("brier", ("binary",), False, 0, 1, _positive("brier_score_loss")),
            ("f1", ("binary",), True, 0, 1, _labels("f1_score", zero_division=0.0)),
            ("precision", ("binary",), True, 0, 1, _labels("precision_score", zero_division=0.0)),
            ("recall", ("binary",), True, 0, 1, _labels("recall_score", zero_division=0.0)),
            ("log_loss", _CLASSES, False, 0, _ANY, _log_loss),
            ("accuracy", _CLASSES, True, 0, 1, _labels("accuracy_score")),
            ("balanced_accuracy", _CLASSES, True, 0, 1, _labels("balanced_accuracy_score")),
            (
                "macro_f1",
                ("multiclass",),
                True,
                0,
                1,
                _labels("f1_score", average="macro", zero_division=0.0),
            ),
            ("roc_auc_ovr", ("multiclass",), True, 0, 1, _roc_auc_ovr),
            ("r2", ("regression",), True, -_ANY, 1, _numbers("r2_score")),
            ("rmse", ("regression",), False, 0, _ANY, _numbers("root_mean_squared_error")),
            ("mae", ("regression",), False, 0, _ANY, _numbers("mean_absolute_error")),
            ("median_ae", ("regression",), False, 0, _ANY, _numbers("median_absolute_error")),
        )
    ),
)

USUAL: Mapping[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "accuracy", "f1", "brier"),
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "regression": ("r2", "rmse", "mae"),
}
