"""Calibrate: curves that make a model's probabilities true are fitted on rows it has not seen."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value, pick, pretty
from mlops_compile.steps.families.kind import Part
from mlops_compile.steps.needs import family_of
from mlops_compile.steps.train import load_part, read_target

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]

_METHODS = {"platt": "sigmoid", "isotonic": "isotonic"}


def run(work: Work) -> None:
    """Writes `calibration`: the method, and a curve a class (of two, the positive one's)."""
    method = str(pick(work.params, ("model", "calibration", "method")))
    target, classes = read_target(work.inputs["target"])
    part = load_part(work, target, "validation")
    _check_classes(part, classes)
    predicted = family_of(work.params).predict(work.inputs["model"], part.features, len(classes))
    value = Map({"curves": curves(method, predicted, part.target, part.weights), "method": method})
    work.outputs["calibration"].write_text(pretty(value), "utf-8")


def curves(
    method: str, predicted: Array, truth: Array, weights: Array | None = None
) -> tuple[Value, ...]:
    """The curves of scikit-learn's CalibratedClassifierCV for a model that was fitted before, of
    which only the probabilities are known; the rows' weights are its `sample_weight`."""
    model = _Predicted()
    model.classes_ = np.arange(predicted.shape[1])
    rows = np.arange(len(truth))
    fitted = CalibratedClassifierCV(
        FrozenEstimator(model), method=_METHODS[method], cv=[(rows, rows)], ensemble=True
    )
    with warnings.catch_warnings():
        # A model that was fitted before takes no weights; they are for the curves alone.
        warnings.filterwarnings("ignore", ".*does not appear to accept sample_weight")
        fitted.fit(predicted, truth, sample_weight=weights)
    return tuple(_plain(curve) for curve in fitted.calibrated_classifiers_[0].calibrators)


class _Predicted(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model whose rows are its own probabilities."""

    classes_: Array

    def fit(self, X: Array, y: Array) -> _Predicted:
        return self  # it is asked for its probabilities alone

    def predict_proba(self, X: Array) -> Array:
        return X


def _plain(curve: Any) -> Value:
    if hasattr(curve, "a_"):
        return Map({"offset": float(curve.b_), "slope": float(curve.a_)})
    x, y = curve.X_thresholds_, curve.y_thresholds_
    return Map({"x": tuple(map(float, x)), "y": tuple(map(float, y))})


def _check_classes(part: Part, classes: tuple[str, ...]) -> None:
    """A row of every class that counts."""
    truth = part.target if part.weights is None else part.target[part.weights > 0]
    absent = [name for code, name in enumerate(classes) if not (truth == code).any()]
    if absent:
        names = ", ".join(map(repr, absent[:5]))
        message = f"no row of the validation part has the class {names}, so nothing tells how"
        message += " probable it is"
        hint = "set data.split.kind=stratified, or a larger data.split.validation_size"
        raise StepError([problem("calibration", message, ("model", "calibration"), hint)])
