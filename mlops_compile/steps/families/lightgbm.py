"""LightGBM: boosted trees that take missing values and native categories as they are."""

# lightgbm and numpy are imported inside the functions that need them: compiling reads only the
# declaration.

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import Problem, StepError, problem
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families.kind import Complaint, Family, Training, chains

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

_OBJECTIVES = {
    "binary": ("binary", "cross_entropy"),
    "multiclass": ("multiclass", "multiclassova"),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape"),
        *("gamma", "tweedie"),
    ),
}
# These give other trees at other thread counts even with `deterministic` (docs/determinism.md).
_UNSTABLE = {
    "data_sample_strategy": "goss",
    "boosting": "goss",
    "linear_tree": True,
    "use_quantized_grad": True,
}
_PER_FEATURE = (
    *("monotone_constraints", "feature_contri", "max_bin_by_feature"),
    *("cegb_penalty_feature_lazy", "cegb_penalty_feature_coupled"),
)
_GROUPS = re.compile(r"\s*\[\s*\d+(\s*,\s*\d+)*\s*\](\s*,\s*\[\s*\d+(\s*,\s*\d+)*\s*\])*\s*\Z")
_THREADS = re.compile(r"^\[num_threads: .*\]$", re.MULTILINE)


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """Early stopping without a validation part, another task's objective, bagging that is off."""
    found = []
    objective = params.get("objective")
    if isinstance(objective, str) and objective not in _OBJECTIVES[task]:
        usual = ", ".join(_OBJECTIVES[task])
        message = f"{objective!r} does not fit a {task} task"
        found.append(Complaint(param="objective", message=message, hint=f"one of {usual}"))
    rounds = params.get("early_stopping_round")
    if isinstance(rounds, int) and rounds > 0 and not has_validation:
        message = "early stopping needs a validation part, and data.split.validation_size is 0"
        hint = "set data.split.validation_size=0.1, or leave early_stopping_round out"
        found.append(Complaint(param="early_stopping_round", message=message, hint=hint))
    if params.get("boosting") == "rf":
        fraction, frequency = params.get("bagging_fraction", 1.0), params.get("bagging_freq", 0)
        if not (isinstance(fraction, float) and fraction < 1.0 and frequency):
            message = "boosting rf needs bagging: bagging_freq above 0 and bagging_fraction below 1"
            found.append(Complaint(param="boosting", message=message))
    for name in _PER_FEATURE:
        if name in params and not isinstance(params[name], tuple):
            message = "must be a list: one value for each feature, in order"
            found.append(Complaint(param=name, message=message))
    groups = params.get("interaction_constraints")
    if isinstance(groups, str) and not _GROUPS.match(groups):
        message = f"{groups!r} does not name groups of features by their positions"
        hint = 'for example "[0,1],[2]"'
        found.append(Complaint(param="interaction_constraints", message=message, hint=hint))
    return tuple(found)


def fit(training: Training) -> Mapping[str, bytes]:
    """LightGBM's own model text, without what does not belong to the model."""
    import lightgbm

    if found := _per_feature(training):
        raise StepError(found)
    params = _params(training)
    rounds = params.pop("num_iterations", 100)
    columns = [f"f{number}" for number in range(training.train.features.shape[1])]
    train = lightgbm.Dataset(
        training.train.features,
        label=training.train.target,
        feature_name=columns,
        categorical_feature=list(training.codes),
        free_raw_data=False,
        params=params,
    )
    valid = []
    if training.validation is not None and params.get("early_stopping_round", 0) > 0:
        part = training.validation
        valid = [train.create_valid(part.features, label=part.target)]
    try:
        booster = lightgbm.train(params, train, num_boost_round=rounds, valid_sets=valid)
    except lightgbm.basic.LightGBMError as error:
        message = f"LightGBM refuses these parameters: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    best = booster.best_iteration if booster.best_iteration > 0 else None
    text = booster.model_to_string(num_iteration=best)
    return {"lightgbm.txt": _THREADS.sub("[num_threads: 0]", text).encode("utf-8")}


def _per_feature(training: Training) -> list[Problem]:
    """What is wrong with params that hold a value a feature; LightGBM ends the process over it."""
    count = training.train.features.shape[1]
    found = []
    for name in _PER_FEATURE:
        values = training.params.get(name)
        if not isinstance(values, tuple) or not values:
            continue
        where = ("model", "params", name)
        if len(values) != count:
            message = (
                f"LightGBM refuses {len(values)} values: the prepared data has {count} features"
            )
            found.append(problem("training", message, where))
        elif name == "monotone_constraints" and any(values[code] for code in training.codes):
            message = "LightGBM refuses a constraint on native categories, which have no order"
            hint = "write 0 for them, or prepare them as ordinal"
            found.append(problem("training", message, where, hint))
    return found


def _params(training: Training) -> dict[str, Any]:
    params: dict[str, Any] = thaw(training.params)
    if training.classes > 2:
        params.setdefault("objective", "multiclass")
        params["num_class"] = training.classes
    else:
        params.setdefault("objective", "binary" if training.classes else "regression")
    unstable = any(params.get(name) == value for name, value in _UNSTABLE.items())
    params.update(
        seed=training.seed,
        deterministic=True,
        force_col_wise=True,
        num_threads=1 if unstable else training.threads,
        verbosity=-1,
    )
    return params


def predict(directory: Path, features: Array, classes: int) -> Array:
    """Probabilities or numbers, as the library gives them."""
    import lightgbm
    import numpy as np

    booster = lightgbm.Booster(model_file=str(directory / "lightgbm.txt"))
    scores: Array = np.asarray(booster.predict(features))
    if classes == 2:
        return np.column_stack([1.0 - scores, scores])
    return scores


FAMILY = Family(
    name="lightgbm",
    tasks=("binary", "multiclass", "regression"),
    accepts=("numeric", "boolean", "code"),
    missing=True,
    chains=chains(
        numeric=[],
        boolean=[],
        categorical=[{"category": {}}],
        datetime=[{"date_parts": {}}],
    ),
    distributions=("lightgbm", "narwhals", "numpy", "pandas", "pyarrow", "scipy"),
    seeded=True,
    complaints=complaints,
    fit=fit,
    predict=predict,
    scorer="scorers/lightgbm.py.jinja",
    serving=("lightgbm", "narwhals", "numpy", "scipy"),
)
