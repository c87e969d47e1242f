"""Metrics by scikit-learn's names: which task each is for, which way is better, how it is made."""

# scikit-learn and numpy are imported inside the functions that need them: compiling reads only
# the declarations.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.registry import table

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Form = Literal["labels", "positive", "probabilities", "shares", "numbers"]
Need = Literal["", "positive", "varied", "all"]
_CLASSES = ("binary", "multiclass")
_ANY = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of true targets (class positions or numbers) and predictions (probabilities, rows x
    classes, or numbers).

    It is scikit-learn's `function` with these `fixed` arguments, and those of `evaluate.options`
    that it `takes`. It is made of the predicted `labels`, of the `positive` class's probability, of
    all `probabilities`, of these divided by their sums (`shares`), or of `numbers`.
    `greater_is_better` is the direction; it lies from `low` to `high`. It `needs` a row of the
    positive class, a target that is varied, or a row of each of all classes, else it has no
    meaning. Some take no weights.
    """

    name: str
    function: str
    form: Form
    tasks: tuple[str, ...]
    greater_is_better: bool = True
    low: float = 0
    high: float = 1
    fixed: Mapping[str, Any] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    needs: Need = ""
    labelled: bool = False
    weighted: bool = True

    def score(
        self,
        truth: Array,
        predicted: Array,
        weight: Array | None = None,
        options: MetricOptions = MetricOptions(),  # noqa: B008
        decision: float | None = None,
    ) -> float:
        """The metric of these rows; NaN or ValueError where it has no meaning for them."""
        import numpy as np
        import sklearn.metrics

        arguments = dict(self.fixed) | {name: getattr(options, name) for name in self.takes}
        if self.labelled:
            arguments["labels"] = np.arange(predicted.shape[1])
        if self.weighted:
            arguments["sample_weight"] = weight
        answer = _answer(self.form, predicted, decision)
        return float(getattr(sklearn.metrics, self.function)(truth, answer, **arguments))


def labels_of(predicted: Array, decision: float | None = None) -> Array:
    """The class that is answered: the most probable one (the first among equals), or with a
    threshold the positive one wherever its probability reaches that."""
    if decision is None:
        most_probable: Array = predicted.argmax(axis=1)
        return most_probable
    return (predicted[:, 1] >= decision).astype("int64")


def shares_of(predicted: Array) -> Array:
    """Probabilities that add up to 1 in each row, as they are where they do (one against the rest
    does not give such): a division would part those that are equal."""
    import numpy as np

    total = predicted.sum(axis=1, keepdims=True)
    shares: Array = predicted if np.allclose(1, total) else predicted / total
    return shares


def _answer(form: Form, predicted: Array, decision: float | None) -> Array:
    match form:
        case "labels":
            return labels_of(predicted, decision)
        case "positive":
            return predicted[:, 1]
        case "shares":
            return shares_of(predicted)
    return predicted


def _error(name: str, function: str, **rest: Any) -> Metric:
    """A loss of numbers: 0 at best."""
    return Metric(
        name=name,
        function=function,
        form="numbers",
        tasks=("regression",),
        greater_is_better=False,
        high=_ANY,
        **rest,
    )


def _explained(name: str, function: str, **rest: Any) -> Metric:
    """A share of what a constant answer leaves open: 1 at best, without end below."""
    rest = {"form": "numbers", "tasks": ("regression",)} | rest
    return Metric(name=name, function=function, low=-_ANY, needs="varied", **rest)


def _labels(name: str, function: str, *tasks: str, **rest: Any) -> Metric:
    return Metric(name=name, function=function, form="labels", tasks=tasks or ("binary",), **rest)


_MACRO = {"average": "macro", "zero_division": 0.0}
_ZERO = {"zero_division": 0.0}
METRICS: Mapping[str, Metric] = table(
    "metric",
    Metric(
        name="roc_auc", function="roc_auc_score", form="positive", tasks=("binary",), needs="all"
    ),
    Metric(
        name="average_precision",
        function="average_precision_score",
        form="positive",
        tasks=("binary",),
        needs="positive",
    ),
    Metric(
        name="brier",
        function="brier_score_loss",
        form="positive",
        tasks=("binary",),
        greater_is_better=False,
    ),
    _labels("f1", "f1_score", fixed=_ZERO, needs="positive"),
    _labels("precision", "precision_score", fixed=_ZERO),
    _labels("recall", "recall_score", fixed=_ZERO, needs="positive"),
    _labels("fbeta", "fbeta_score", fixed=_ZERO, takes=("beta",), needs="positive"),
    _labels("jaccard", "jaccard_score", fixed=_ZERO, needs="positive"),
    Metric(
        name="log_loss",
        function="log_loss",
        form="probabilities",
        tasks=_CLASSES,
        greater_is_better=False,
        high=_ANY,
        labelled=True,
    ),
    _explained(
        "d2_log_loss", "d2_log_loss_score", form="probabilities", tasks=_CLASSES, labelled=True
    ),
    _explained("d2_brier", "d2_brier_score", form="probabilities", tasks=_CLASSES, labelled=True),
    _labels("accuracy", "accuracy_score", *_CLASSES),
    _labels("balanced_accuracy", "balanced_accuracy_score", *_CLASSES),
    _labels("matthews_corrcoef", "matthews_corrcoef", *_CLASSES, low=-1),
    _labels("cohen_kappa", "cohen_kappa_score", *_CLASSES, low=-1, needs="varied"),
    _labels("macro_f1", "f1_score", "multiclass", fixed=_MACRO),
    _labels("macro_precision", "precision_score", "multiclass", fixed=_MACRO),
    _labels("macro_recall", "recall_score", "multiclass", fixed=_MACRO),
    _labels("weighted_f1", "f1_score", "multiclass", fixed={"average": "weighted", **_ZERO}),
    Metric(
        name="roc_auc_ovr",
        function="roc_auc_score",
        form="shares",
        tasks=("multiclass",),
        fixed={"multi_class": "ovr"},
        labelled=True,
        needs="all",
    ),
    Metric(
        name="top_k_accuracy",
        function="top_k_accuracy_score",
        form="probabilities",
        tasks=("multiclass",),
        takes=("k",),
        labelled=True,
    ),
    _explained("r2", "r2_score"),
    _explained("explained_variance", "explained_variance_score"),
    _explained("d2_absolute_error", "d2_absolute_error_score"),
    _explained("d2_pinball", "d2_pinball_score", takes=("alpha",)),
    _explained("d2_tweedie", "d2_tweedie_score", takes=("power",)),
    _error("rmse", "root_mean_squared_error"),
    _error("mse", "mean_squared_error"),
    _error("mae", "mean_absolute_error"),
    _error("median_ae", "median_absolute_error"),
    _error("max_error", "max_error", weighted=False),
    _error("mape", "mean_absolute_percentage_error"),
    _error("msle", "mean_squared_log_error"),
    _error("rmsle", "root_mean_squared_log_error"),
    _error("mean_pinball_loss", "mean_pinball_loss", takes=("alpha",)),
    _error("mean_poisson_deviance", "mean_poisson_deviance"),
    _error("mean_gamma_deviance", "mean_gamma_deviance"),
    _error("mean_tweedie_deviance", "mean_tweedie_deviance", takes=("power",)),
)

USUAL: Mapping[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "accuracy", "f1", "brier"),
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "regression": ("r2", "rmse", "mae"),
}
