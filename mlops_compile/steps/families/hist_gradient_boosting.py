"""Boosted trees over histograms by scikit-learn, kept and evaluated as plain arrays."""

# numpy and scikit-learn are imported inside the functions that need them: compiling reads only the
# declaration.

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families import trees
from mlops_compile.steps.families.forests import DISTRIBUTIONS
from mlops_compile.steps.families.kind import Complaint, Family, Training, chains, problem_of

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

_LOSSES = {
    "log_loss": ("binary", "multiclass"),
    "squared_error": ("regression",),
    "absolute_error": ("regression",),
    "quantile": ("regression",),
    "poisson": ("regression",),
    "gamma": ("regression",),
}
_BY_EXP = ("poisson", "gamma")
_STOPPING = "early_stopping"
# Below so many cells of the matrix, threads wait for each other longer than they work. The trees
# are the same with any number of them.
_FEW_CELLS = 2_000_000


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """What a table of both estimators takes, and one of them does not; and early stopping."""
    return (*_loss(params, task), *_early_stopping(params, has_validation))


def _loss(params: Map, task: str) -> Iterator[Complaint]:
    loss = params.get("loss")
    if isinstance(loss, str) and task not in _LOSSES[loss]:
        fitting = [name for name, tasks in _LOSSES.items() if task in tasks]
        message = f"{loss!r} does not fit a {task} task"
        yield Complaint(param="loss", message=message, hint=f"one of {', '.join(fitting)}")
    if loss == "quantile" and task == "regression" and params.get("quantile") is None:
        message = "the loss quantile needs to be told which"
        yield Complaint(
            param="loss", message=message, hint="model.params.quantile=0.5", unless=("quantile",)
        )
    if loss == "quantile" and params.get("quantile") in (0, 1):
        message = "the quantile that is fitted must lie between 0 and 1"
        yield Complaint(param="quantile", message=message, hint="0.5 is the median")
    if params.get("quantile") is not None and task != "regression":
        message = f"a {task} task has no quantile to fit"
        yield Complaint(param="quantile", message=message, hint="leave it out")
    if params.get("class_weight") is not None and task == "regression":
        message = "a regression has no classes to weigh"
        yield Complaint(param="class_weight", message=message, hint="leave it out")


def _early_stopping(params: Map, has_validation: bool) -> Iterator[Complaint]:
    if params.get(_STOPPING) is True and not has_validation:
        message = "early stopping needs a validation part, and data.split.validation_size is 0"
        hint = "set data.split.validation_size=0.1, or leave early_stopping out"
        yield Complaint(param=_STOPPING, message=message, hint=hint)


def fit(training: Training) -> Mapping[str, bytes]:
    """The trees; rows to stop by are those of the plan, never drawn from the training part."""
    import sklearn.ensemble
    import threadpoolctl

    params: dict[str, Any] = {_STOPPING: False, **thaw(training.params)}
    _check_levels(training, params.get("max_bins", 255))
    if training.monotone:
        params["monotonic_cst"] = list(training.monotone)
    kind = "Classifier" if training.classes else "Regressor"
    estimator = getattr(sklearn.ensemble, f"HistGradientBoosting{kind}")
    part, more = training.train, _to_stop_by(training, estimator, params[_STOPPING])
    threads = training.threads if part.features.size > _FEW_CELLS else 1
    try:
        model = estimator(
            **params, categorical_features=list(training.codes) or None, random_state=training.seed
        )
        with threadpoolctl.threadpool_limits(limits=threads):
            model.fit(part.features, part.target, sample_weight=part.weights, **more)
    except (TypeError, ValueError) as error:
        message = f"scikit-learn refuses these parameters or rows: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    return _encoded(model, training, params.get("loss", ""))


def _check_levels(training: Training, most: int) -> None:
    """StepError for a category of more levels than there are bins."""
    import numpy as np

    found = []
    for position in training.codes:
        values = training.train.features[:, position]
        levels = len(np.unique(values[~np.isnan(values)]))
        if levels > most:
            name = training.names[position]
            message = (
                f"{name!r} has {levels} levels, and hist_gradient_boosting takes a native category"
                f" of {most} at most"
            )
            hint = "prepare it as ordinal, or group its rare levels: {category: {min_count: 20}}"
            found.append(problem("training", message, ("data", "columns", name), hint))
    if found:
        raise StepError(found)


def _to_stop_by(training: Training, estimator: Any, stopping: bool) -> dict[str, Any]:
    """The arguments of `fit` that hold the rows to stop by."""
    part = training.validation
    if not stopping or part is None:
        return {}
    if "X_val" not in inspect.signature(estimator.fit).parameters:
        message = "the installed scikit-learn cannot stop early on given rows"
        complaint = Complaint(param=_STOPPING, message=message, hint="scikit-learn 1.9 can")
        raise StepError([problem_of(complaint)])
    rows = {"X_val": part.features, "y_val": part.target}
    return rows if part.weights is None else {**rows, "sample_weight_val": part.weights}


def _encoded(model: Any, training: Training, loss: str) -> Mapping[str, bytes]:
    """The library's trees, with features and levels as they were before its own encoding."""
    import numpy as np

    codes = list(training.codes)
    columns = training.train.features.shape[1]
    # The library looks at categories first; a node holds the position in that order.
    order = np.array([*codes, *(n for n in range(columns) if n not in codes)])
    known: list[tuple[float, ...] | None] = [None] * columns
    for position in codes:
        values = training.train.features[:, position]
        known[position] = tuple(np.unique(values[~np.isnan(values)]).tolist())
    found = [
        _tree(predictor, order, known) for iteration in model._predictors for predictor in iteration
    ]
    link = "softmax" if training.classes > 2 else "logistic" if training.classes else "identity"
    return trees.encode(
        found,
        base=np.ravel(model._baseline_prediction).tolist(),
        link="exp" if loss in _BY_EXP else link,
        known=known,
    )


def _tree(predictor: Any, order: Array, known: list[tuple[float, ...] | None]) -> trees.Tree:
    import numpy as np

    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    feature = order[np.where(inner, nodes["feature_idx"], 0)]
    threshold = nodes["num_threshold"].copy()
    category = inner & (nodes["is_categorical"] == 1)
    sets: list[tuple[float, ...]] = []
    for node in np.flatnonzero(category).tolist():
        levels = known[feature[node]] or ()
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]].tolist()
        threshold[node] = len(sets)
        sets.append(tuple(x for n, x in enumerate(levels) if bits[n // 32] >> n % 32 & 1))
    return trees.Tree(
        feature=feature,
        threshold=threshold,
        left=np.where(inner, nodes["left"].astype("int64"), -1),
        right=np.where(inner, nodes["right"].astype("int64"), -1),
        flags=nodes["missing_go_to_left"].astype("int64") + trees.CATEGORY * category,
        values=nodes["value"][:, np.newaxis],
        sets=tuple(sets),
    )


FAMILY = Family(
    name="hist_gradient_boosting",
    tasks=("binary", "multiclass", "regression"),
    accepts=("numeric", "boolean", "code"),
    missing=True,
    chains=chains(
        numeric=[],
        boolean=[],
        categorical=[{"category": {}}],
        datetime=[{"date_parts": {}}],
    ),
    distributions=DISTRIBUTIONS,
    seeded=True,
    complaints=complaints,
    fit=fit,
    predict=trees.predict,
    monotone=True,
    scorer="scorers/trees.py.jinja",
    serving=(),
    imports=("sklearn.ensemble", "threadpoolctl"),
    trees=trees.read,
)
