"""Metrics by hand: the call of scikit-learn that a metric's name stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import sklearn.metrics as sk


def by_scikit_learn(
    names: Iterable[str], truth: Any, predicted: Any, weight: Any, labels: Any = None
) -> dict[str, float]:
    """Each metric of answers (rows x classes, or numbers); `labels` are the classes that are
    answered, where these are not the most probable ones."""
    own = {"sample_weight": weight}
    if predicted.ndim == 1:
        return {name: float(_NUMBERS[name](truth, predicted, own)) for name in names}
    if labels is None:
        labels = predicted.argmax(axis=1)
    binary = predicted.shape[1] == 2
    every = np.arange(predicted.shape[1])
    scores = predicted[:, 1] if binary else predicted
    found = {}
    for name in names:
        if name in _ANSWERS:
            value = _ANSWERS[name](truth, labels, own)
        elif name in _POSITIVE:
            value = _POSITIVE[name](truth, scores, own)
        else:
            value = _SHARES[name](truth, predicted, {**own, "labels": every})
        found[name] = float(value)
    return found


_MACRO: Any = {"average": "macro", "zero_division": 0.0}
_ANSWERS: dict[str, Any] = {
    "accuracy": lambda y, p, own: sk.accuracy_score(y, p, **own),
    "balanced_accuracy": lambda y, p, own: sk.balanced_accuracy_score(y, p, **own),
    "cohen_kappa": lambda y, p, own: sk.cohen_kappa_score(y, p, **own),
    "f1": lambda y, p, own: sk.f1_score(y, p, zero_division=0.0, **own),
    "fbeta": lambda y, p, own: sk.fbeta_score(y, p, beta=2.0, zero_division=0.0, **own),
    "jaccard": lambda y, p, own: sk.jaccard_score(y, p, zero_division=0.0, **own),
    "macro_f1": lambda y, p, own: sk.f1_score(y, p, **_MACRO, **own),
    "macro_precision": lambda y, p, own: sk.precision_score(y, p, **_MACRO, **own),
    "macro_recall": lambda y, p, own: sk.recall_score(y, p, **_MACRO, **own),
    "matthews_corrcoef": lambda y, p, own: sk.matthews_corrcoef(y, p, **own),
    "precision": lambda y, p, own: sk.precision_score(y, p, zero_division=0.0, **own),
    "recall": lambda y, p, own: sk.recall_score(y, p, zero_division=0.0, **own),
    "weighted_f1": lambda y, p, own: sk.f1_score(
        y, p, average="weighted", zero_division=0.0, **own
    ),
}
_POSITIVE: dict[str, Any] = {
    "average_precision": lambda y, p, own: sk.average_precision_score(y, p, **own),
    "brier": lambda y, p, own: sk.brier_score_loss(y, p, **own),
    "roc_auc": lambda y, p, own: sk.roc_auc_score(y, p, **own),
}
_SHARES: dict[str, Any] = {
    "d2_brier": lambda y, p, own: sk.d2_brier_score(y, p, **own),
    "d2_log_loss": lambda y, p, own: sk.d2_log_loss_score(y, p, **own),
    "log_loss": lambda y, p, own: sk.log_loss(y, p, **own),
    # Probabilities that do not add up to 1 (one class against the rest) are refused by this one.
    "roc_auc_ovr": lambda y, p, own: sk.roc_auc_score(
        y,
        p if np.allclose(1, p.sum(axis=1)) else p / p.sum(axis=1, keepdims=True),
        multi_class="ovr",
        **own,
    ),
    "top_k_accuracy": lambda y, p, own: sk.top_k_accuracy_score(y, p, k=2, **own),
}
_NUMBERS: dict[str, Any] = {
    "d2_absolute_error": lambda y, p, own: sk.d2_absolute_error_score(y, p, **own),
    "d2_pinball": lambda y, p, own: sk.d2_pinball_score(y, p, alpha=0.5, **own),
    "d2_tweedie": lambda y, p, own: sk.d2_tweedie_score(y, p, power=1.5, **own),
    "explained_variance": lambda y, p, own: sk.explained_variance_score(y, p, **own),
    "mae": lambda y, p, own: sk.mean_absolute_error(y, p, **own),
    "mape": lambda y, p, own: sk.mean_absolute_percentage_error(y, p, **own),
    "max_error": lambda y, p, own: sk.max_error(y, p),
    "mean_gamma_deviance": lambda y, p, own: sk.mean_gamma_deviance(y, p, **own),
    "mean_pinball_loss": lambda y, p, own: sk.mean_pinball_loss(y, p, alpha=0.5, **own),
    "mean_poisson_deviance": lambda y, p, own: sk.mean_poisson_deviance(y, p, **own),
    "mean_tweedie_deviance": lambda y, p, own: sk.mean_tweedie_deviance(y, p, power=1.5, **own),
    "median_ae": lambda y, p, own: sk.median_absolute_error(y, p, **own),
    "mse": lambda y, p, own: sk.mean_squared_error(y, p, **own),
    "msle": lambda y, p, own: sk.mean_squared_log_error(y, p, **own),
    "r2": lambda y, p, own: sk.r2_score(y, p, **own),
    "rmse": lambda y, p, own: sk.root_mean_squared_error(y, p, **own),
    "rmsle": lambda y, p, own: sk.root_mean_squared_log_error(y, p, **own),
}
