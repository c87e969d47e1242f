"""LightGBM: boosted trees that take missing values and native categories as they are."""

# lightgbm and numpy are imported inside the functions that need them: compiling reads only the
# declaration.

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.problem import Problem, StepError, problem
from mlops_compile.ir.trees import Trees
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families.kind import Family, Training, chains, problem_of
from mlops_compile.steps.families.lightgbm_rules import complaints, misfits, unfit_targets
from mlops_compile.steps.families.lightgbm_text import read_text
from mlops_compile.steps.preparations.kind import Sort

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

# These give other trees at other thread counts even with `deterministic` (docs/determinism.md).
_UNSTABLE = {
    "data_sample_strategy": "goss",
    "boosting": "goss",
    "linear_tree": True,
    "use_quantized_grad": True,
}
# Parameters that say how trees grow, and nothing of how the rows are binned before. LightGBM bins
# anew where one of the others differs.
_NOT_BINNING = frozenset(
    (
        *("learning_rate", "num_leaves", "max_depth", "min_sum_hessian_in_leaf", "num_threads"),
        *("bagging_fraction", "bagging_freq", "pos_bagging_fraction", "neg_bagging_fraction"),
        *("feature_fraction", "feature_fraction_bynode", "extra_trees", "max_delta_step"),
        *("lambda_l1", "lambda_l2", "linear_lambda", "min_gain_to_split", "path_smooth"),
        *("drop_rate", "max_drop", "skip_drop", "top_rate", "other_rate"),
        *("cat_l2", "cat_smooth", "max_cat_threshold", "max_cat_to_onehot", "min_data_per_group"),
        *("scale_pos_weight", "is_unbalance", "metric", "early_stopping_round", "verbosity"),
    )
)
_FILE = "lightgbm.txt"
_SOURCES = re.compile(r" at \S+, line \d+ *\.\s*\Z")
_THREADS = re.compile(r"^\[num_threads: .*\]$", re.MULTILINE)


def fit(training: Training) -> Mapping[str, bytes]:
    """LightGBM's own model text, without what does not belong to the model."""
    import lightgbm

    sorts: list[Sort] = ["numeric"] * training.train.features.shape[1]
    for position in training.codes:
        sorts[position] = "code"
    if found := (
        *misfits(training.params, tuple(sorts), training.classes),
        *(unfit_targets(training.params, training.train.target) if not training.classes else ()),
    ):
        raise StepError(problem_of(complaint) for complaint in found)
    params = _params(training)
    rounds = params.pop("num_iterations", 100)
    train, validation = _datasets(training, params)
    valid = [] if validation is None else [validation]
    try:
        with _quiet():  # what is refused is refused here, before the first round
            lightgbm.Booster(params, train)
        booster = lightgbm.train(params, train, num_boost_round=rounds, valid_sets=valid)
    except lightgbm.basic.LightGBMError as error:
        raise StepError([_refusal(str(error), training.params)]) from None
    best = booster.best_iteration if booster.best_iteration > 0 else None
    text = booster.model_to_string(num_iteration=best)
    return {_FILE: _THREADS.sub("[num_threads: 0]", text).encode("utf-8")}


def _datasets(training: Training, params: dict[str, Any]) -> tuple[Any, Any]:
    """The binned rows to train on, and those to stop early by, if that is asked for; those that an
    earlier fit to the same rows has left, where nothing that binning depends on differs."""
    import lightgbm

    bins = {name: value for name, value in params.items() if name not in _NOT_BINNING}
    stops = training.validation is not None and params.get("early_stopping_round", 0) > 0
    key = (repr(sorted(bins.items())), stops)
    if key not in training.kept:
        train = lightgbm.Dataset(
            training.train.features,
            label=training.train.target,
            weight=training.train.weights,
            feature_name=[f"f{number}" for number in range(training.train.features.shape[1])],
            categorical_feature=list(training.codes),
            free_raw_data=False,
            params=params,
        )
        validation = None
        if stops:
            part = training.validation
            assert part is not None
            validation = train.create_valid(part.features, label=part.target, weight=part.weights)
        training.kept.clear()  # one at a time: each holds a binned copy of the rows
        training.kept[key] = train, validation
    found: tuple[Any, Any] = training.kept[key]
    return found


def _refusal(text: str, params: Map) -> Problem:
    """The library's words without the place in its sources, at the parameter that they name."""
    words = _SOURCES.sub("", text).strip()
    named = [name for name in params if re.search(rf"\b{name}\b", words)]
    where = ("model", "params", *named[:1])
    return problem("training", f"LightGBM refuses these parameters: {words}", where)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on the process's stderr, where LightGBM writes its errors before it raises them."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _params(training: Training) -> dict[str, Any]:
    params: dict[str, Any] = thaw(training.params)
    if training.classes > 2:
        params.setdefault("objective", "multiclass")
        params["num_class"] = training.classes
    else:
        params.setdefault("objective", "binary" if training.classes else "regression")
    if training.monotone:
        params["monotone_constraints"] = list(training.monotone)
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

    booster = lightgbm.Booster(model_file=str(directory / _FILE))
    scores: Array = np.asarray(booster.predict(features))
    if classes == 2:
        return np.column_stack([1.0 - scores, scores])
    return scores


def importance(directory: Path) -> Mapping[str, Array]:
    """How often each feature splits, and what its splits gain in all."""
    import lightgbm

    booster = lightgbm.Booster(model_file=str(directory / _FILE))
    return {sort: booster.feature_importance(sort).astype("float64") for sort in ("split", "gain")}


def shap(directory: Path, features: Array, classes: int) -> Array:
    """LightGBM's own SHAP values of the raw scores, without the expected score behind them."""
    import lightgbm
    import numpy as np

    booster = lightgbm.Booster(model_file=str(directory / _FILE))
    values = np.asarray(booster.predict(features, pred_contrib=True))
    shaped: Array = values.reshape(len(features), -1, features.shape[1] + 1)[:, :, :-1]
    return shaped


def trees(directory: Path, classes: int) -> Trees:
    """The model as trees."""
    return read_text((directory / _FILE).read_text("utf-8"), classes)


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
    misfits=misfits,
    fit=fit,
    predict=predict,
    monotone=True,
    scorer="scorers/trees.py.jinja",
    serving=(),
    imports=("lightgbm",),
    importance=importance,
    shap=shap,
    trees=trees,
)
