"""What LightGBM refuses beyond its table of parameters: those that do not go together, and those
that do not fit the features, the classes or the targets. tests/test_families.py asks LightGBM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlops_compile.ir.value import Map
from mlops_compile.steps.families.kind import Complaint
from mlops_compile.steps.preparations.kind import Sort

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

OBJECTIVES = {
    "binary": ("binary", "cross_entropy"),
    "multiclass": ("multiclass", "multiclassova"),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"),
        *("gamma", "tweedie"),
    ),
}
_OF_CLASSES = ("multi_logloss", "multi_error", "auc_mu")
_ABOVE_ZERO = ("gamma", "gamma_deviance")
_NOT_NEGATIVE = ("poisson", "tweedie")
_SHARES = ("cross_entropy", "cross_entropy_lambda", "kullback_leibler")
_BY_RANK = ("regression_l1", "quantile", "mape")
PER_FEATURE = (
    *("monotone_constraints", "feature_contri", "max_bin_by_feature"),
    *("cegb_penalty_feature_lazy", "cegb_penalty_feature_coupled"),
)
_GROUPS = re.compile(r"\s*\[\s*\d+(\s*,\s*\d+)*\s*\](\s*,\s*\[\s*\d+(\s*,\s*\d+)*\s*\])*\s*\Z")
_DRAWING = ("bagging_freq", "bagging_fraction")
_BAGGING = "bagging_freq above 0 and bagging_fraction below 1"


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """What cannot be asked for together."""
    return (
        *_objective(params, task),
        *_metric(params, task),
        *_early_stopping(params, has_validation),
        *_sampling(params),
        *_weights(params, task),
        *_trees(params),
        *_lists(params),
    )


def _objective(params: Map, task: str) -> Iterator[Complaint]:
    objective = params.get("objective")
    if isinstance(objective, str) and objective not in OBJECTIVES[task]:
        message = f"{objective!r} does not fit a {task} task"
        hint = f"one of {', '.join(OBJECTIVES[task])}"
        yield Complaint(param="objective", message=message, hint=hint)
    if objective == "quantile" and _number(params, "alpha", 0.9) >= 1:
        message = "the quantile that is fitted must be below 1"
        yield Complaint(param="alpha", message=message, hint="0.9 is the default")


def _metric(params: Map, task: str) -> Iterator[Complaint]:
    stated = params.get("metric")
    for name in stated if isinstance(stated, tuple) else (stated,):
        if name is None:
            continue
        if (name in _OF_CLASSES) != (task == "multiclass"):
            hint = "leave it out: the objective has a metric of its own"
            if task == "multiclass":
                hint = f"one of {', '.join(_OF_CLASSES)}"
            message = f"{name!r} is no metric of a {task} task in LightGBM"
            yield Complaint(param="metric", message=message, hint=hint)
        elif task == "binary" and name in _ABOVE_ZERO:
            message = f"{name!r} needs targets above 0, and those of a binary task are 0 and 1"
            hint = "take auc, binary_logloss or another"
            yield Complaint(param="metric", message=message, hint=hint)


def _early_stopping(params: Map, has_validation: bool) -> Iterator[Complaint]:
    if _number(params, "early_stopping_round", 0) > 0 and not has_validation:
        message = "early stopping needs a validation part, and data.split.validation_size is 0"
        hint = "set data.split.validation_size=0.1, or leave early_stopping_round out"
        yield Complaint(param="early_stopping_round", message=message, hint=hint)


def _sampling(params: Map) -> Iterator[Complaint]:
    frequency, fraction = _number(params, "bagging_freq", 0), _number(params, "bagging_fraction", 1)
    bagging = frequency > 0 and fraction < 1
    if params.get("boosting") == "goss" or params.get("data_sample_strategy") == "goss":
        top, other = _number(params, "top_rate", 0.2), _number(params, "other_rate", 0.1)
        if top + other > 1:
            message = (
                f"goss cannot keep more than all rows: top_rate + other_rate is {top + other:g}"
            )
            named = "top_rate" if "top_rate" in params else "other_rate"
            yield Complaint(
                param=named,
                message=message,
                hint="together they are at most 1",
                unless=("top_rate", "other_rate"),
            )
        for name, rate in (("top_rate", top), ("other_rate", other)):
            if rate == 0:
                message = "goss needs a share above 0"
                yield Complaint(param=name, message=message, hint="leave it out for the default")
        if bagging:
            message = f"goss draws the rows itself and cannot be with bagging ({_BAGGING})"
            yield Complaint(
                param="bagging_fraction",
                message=message,
                hint="leave bagging_freq and bagging_fraction out, or goss",
            )
    elif params.get("boosting") == "rf":
        if not bagging and not _number(params, "feature_fraction", 1) < 1:
            message = f"boosting rf needs bagging ({_BAGGING}), or feature_fraction below 1"
            hint = "for example model.params.bagging_freq=1 model.params.bagging_fraction=0.7"
            yield Complaint(
                param="boosting",
                message=message,
                hint=hint,
                unless=(*_DRAWING, "feature_fraction", "data_sample_strategy"),
            )


def _weights(params: Map, task: str) -> Iterator[Complaint]:
    weighing = params.get("objective", task) in ("binary", "multiclassova")
    weight = _number(params, "scale_pos_weight", 1)
    if weighing and params.get("is_unbalance") is True and abs(weight - 1) > 1e-6:
        message = "weighs the positive class, and is_unbalance does so too"
        yield Complaint(
            param="scale_pos_weight",
            message=message,
            hint="keep one of them",
            unless=("objective",),
        )


def _trees(params: Map) -> Iterator[Complaint]:
    objective = params.get("objective")
    if params.get("linear_tree") is True:
        if objective == "regression_l1":
            message = "linear trees cannot be fitted with the objective regression_l1"
            hint = "take another objective, or leave linear_tree out"
            yield Complaint(param="linear_tree", message=message, hint=hint)
        if params.get("zero_as_missing") is True:
            message = "linear trees cannot take zeros as missing"
            hint = "leave linear_tree or zero_as_missing out"
            yield Complaint(param="zero_as_missing", message=message, hint=hint)
    if params.get("monotone_constraints") and objective in _BY_RANK:
        message = f"the objective {objective} cannot keep constraints"
        hint = "leave them out, or take another objective"
        yield Complaint(param="monotone_constraints", message=message, hint=hint)


def _lists(params: Map) -> Iterator[Complaint]:
    for name in PER_FEATURE:
        if name in params and not isinstance(params[name], tuple):
            message = "must be a list: one value for each feature, in order"
            yield Complaint(param=name, message=message, hint=f"write [{params[name]}, ...]")
    factors = params.get("feature_contri")
    if isinstance(factors, tuple) and any(isinstance(n, int | float) and n < 0 for n in factors):
        message = "a factor of a gain cannot be negative"
        yield Complaint(param="feature_contri", message=message, hint="0 leaves the feature out")
    groups = params.get("interaction_constraints")
    if isinstance(groups, str) and not _GROUPS.match(groups):
        message = f"{groups!r} does not name groups of features by their positions"
        hint = 'for example "[0,1],[2]"'
        yield Complaint(param="interaction_constraints", message=message, hint=hint)


def misfits(
    params: Map, features: tuple[Sort, ...] | None, classes: int | None
) -> tuple[Complaint, ...]:
    """Lists of another length than there are features or classes."""
    found = []
    for name in PER_FEATURE:
        values = params.get(name)
        if features is None or not isinstance(values, tuple) or not values:
            continue
        if len(values) != len(features):
            held = "1 value" if len(values) == 1 else f"{len(values)} values"
            message = f"holds {held}, and the prepared data has {len(features)} features"
            hint = "one value for each feature, in the order of the columns' names"
            found.append(Complaint(param=name, message=message, hint=hint))
        elif name == "monotone_constraints" and any(
            value and sort == "code" for value, sort in zip(values, features, strict=True)
        ):
            message = "native categories have no order, so that none can be constrained"
            hint = "write 0 for them, or prepare them as ordinal"
            found.append(Complaint(param=name, message=message, hint=hint))
    if classes is not None:
        found += _class_weights(params, classes)
    return tuple(found)


def _class_weights(params: Map, classes: int) -> Iterator[Complaint]:
    stated = params.get("auc_mu_weights", ())
    weights = stated if isinstance(stated, tuple) else (stated,)
    outputs = classes if classes > 2 else 1
    if not weights:
        return
    if len(weights) != outputs**2:
        message = f"holds {len(weights)} values, and {outputs} classes need {outputs**2}"
        hint = "a weight for each pair of classes, row after row"
        if outputs == 1:
            message = "is for the metric auc_mu of a multiclass task"
            hint = "leave it out"
        yield Complaint(param="auc_mu_weights", message=message, hint=hint)
    elif not all(weight for place, weight in enumerate(weights) if place % (outputs + 1)):
        message = "the weight of two different classes cannot be 0"
        yield Complaint(param="auc_mu_weights", message=message, hint="only those on the diagonal")


def unfit_targets(params: Map, targets: Array) -> tuple[Complaint, ...]:
    """Objectives and metrics that cannot take these numbers."""
    stated = params.get("metric")
    metrics = stated if isinstance(stated, tuple) else (stated,)
    asked = [("objective", params.get("objective")), *(("metric", name) for name in metrics)]
    found = []
    for param, name in asked:
        if name in _ABOVE_ZERO and targets.min() <= 0:
            what = f"targets above 0, and {_others(targets <= 0)}"
        elif param == "objective" and name in _NOT_NEGATIVE and targets.min() < 0:
            what = f"targets of 0 and above, and {_others(targets < 0)}"
        elif param == "objective" and name in _NOT_NEGATIVE and not targets.any():
            what = "a target above 0, and all are 0"
        elif param == "metric" and name in _SHARES and (targets.min() < 0 or targets.max() > 1):
            what = f"targets from 0 to 1, and {_others((targets < 0) | (targets > 1))}"
        else:
            continue
        message = f"{name!r} needs {what}"
        found.append(Complaint(param=param, message=message, hint=f"take another {param}"))
    return tuple(found)


def _others(rows: Array) -> str:
    """How many targets are others than they must be; their values may be sensitive."""
    count = int(rows.sum())
    return f"{count} of {len(rows)} {'is' if count == 1 else 'are'} not"


def _number(params: Map, name: str, usual: float) -> float:
    value = params.get(name, usual)
    return value if isinstance(value, int | float) else usual
