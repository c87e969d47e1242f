"""Families: what they fit is what their library fits, and what they keep says the same again."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import sklearn.linear_model

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.value import freeze
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families import lightgbm as lightgbm_family
from mlops_compile.steps.families.forests import CRITERIA
from mlops_compile.steps.families.kind import Part, Training
from mlops_compile.steps.families.lightgbm_rules import OBJECTIVES, PER_FEATURE, unfit_targets
from mlops_compile.steps.families.linear import sigmoid, softmax
from mlops_compile.steps.families.parameters import parameters

RANDOM = np.random.RandomState(0)
FEATURES = RANDOM.normal(size=(120, 4))
SCORE = FEATURES @ np.array([1.0, -2.0, 0.5, 0.0]) + RANDOM.normal(size=120) * 0.1
TARGETS = {
    "binary": (SCORE > 0).astype("int64"),
    "multiclass": np.digitize(SCORE, [-1.0, 1.0]).astype("int64"),
    "regression": SCORE,
}
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
LISTED = {item.name: item for item in parameters("lightgbm")}
EVERY = [(name, task) for name, family in FAMILIES.items() for task in family.tasks]
QUICK: dict[str, Any] = {
    "lightgbm": {"num_iterations": 7, "num_leaves": 5, "min_data_in_leaf": 5},
    "hist_gradient_boosting": {"max_iter": 7, "max_leaf_nodes": 5, "min_samples_leaf": 5},
    "elastic_net": {"alpha": 0.01},
    "random_forest": {"n_estimators": 9},
    "extra_trees": {"n_estimators": 9},
}
ROUNDS = {
    "lightgbm": "num_iterations",
    "random_forest": "n_estimators",
    "extra_trees": "n_estimators",
}


def training(task: str, params: Any, **more: Any) -> Training:
    frozen: Any = freeze(params)
    fields: dict[str, Any] = {
        "params": frozen,
        "train": Part(features=FEATURES, target=TARGETS[task]),
        "validation": None,
        "codes": (),
        "classes": CLASSES[task],
        "seed": 3,
        "threads": 1,
        **more,
    }
    return Training(**fields)


def fit(folder: Path, name: str, task: str, params: Any = None, **more: Any) -> Any:
    """Predictions of a model that was fitted, written and read back."""
    files = FAMILIES[name].fit(
        training(task, QUICK.get(name, {}) if params is None else params, **more)
    )
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return FAMILIES[name].predict(folder, FEATURES, CLASSES[task])


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_predictions_have_the_tasks_shape(tmp_path: Path, name: str, task: str) -> None:
    found = fit(tmp_path, name, task)
    if task == "regression":
        assert found.shape == (120,)
        assert np.corrcoef(found, SCORE)[0, 1] > 0.8
        return
    assert found.shape == (120, CLASSES[task])
    assert np.allclose(found.sum(axis=1), 1.0) and found.min() >= 0
    assert np.mean(found.argmax(axis=1) == TARGETS[task]) > 0.8


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_the_same_training_is_the_same_bytes(name: str, task: str) -> None:
    params = {
        **QUICK.get(name, {}),
        **({"bagging_fraction": 0.5, "bagging_freq": 1} if name == "lightgbm" else {}),
    }
    one, two, wide = (
        FAMILIES[name].fit(training(task, params, threads=threads)) for threads in (1, 1, 3)
    )
    assert one == two == wide
    assert all(data.decode("utf-8") for data in one.values())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_lightgbm_is_lightgbms(tmp_path: Path, task: str) -> None:
    objective = task
    params = {
        **QUICK["lightgbm"], "objective": objective, "verbosity": -1, "seed": 3, "num_threads": 1,
        "deterministic": True, "force_col_wise": True,
        **({"num_class": 3} if task == "multiclass" else {}),
    }  # fmt: skip
    booster = lightgbm.train(params, lightgbm.Dataset(FEATURES, TARGETS[task], params=params))
    found = fit(tmp_path, "lightgbm", task)
    expected = booster.predict(FEATURES)
    assert np.array_equal(found[:, 1] if task == "binary" else found, expected)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"C": 0.1, "fit_intercept": False},
        {"solver": "liblinear", "fit_intercept": False},
        {"solver": "liblinear", "intercept_scaling": 2.0},
        {"solver": "newton-cholesky", "fit_intercept": False},
    ],
)
def test_logistic_regression_is_scikit_learns(tmp_path: Path, task: str, params: Any) -> None:
    if task == "multiclass" and params.get("solver") == "liblinear":
        pytest.skip("liblinear is for two classes")
    model = sklearn.linear_model.LogisticRegression(**params, random_state=3)
    model.fit(FEATURES, TARGETS[task])
    found = fit(tmp_path, "logistic_regression", task, params)
    assert np.allclose(found, model.predict_proba(FEATURES), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("params", [{}, {"alpha": 7.5}, {"fit_intercept": False}])
def test_ridge_is_scikit_learns(tmp_path: Path, params: Any) -> None:
    model = sklearn.linear_model.Ridge(**params).fit(FEATURES, SCORE)
    found = fit(tmp_path, "ridge", "regression", params)
    assert np.allclose(found, model.predict(FEATURES), rtol=1e-9, atol=1e-12)


def test_early_stopping_stops_early() -> None:
    half = Part(features=FEATURES[:60], target=TARGETS["binary"][:60])
    noise = Part(features=FEATURES[60:], target=RANDOM.permutation(TARGETS["binary"][60:]))
    params = {**QUICK["lightgbm"], "num_iterations": 200, "early_stopping_round": 3}
    files = FAMILIES["lightgbm"].fit(training("binary", params, train=half, validation=noise))
    assert 0 < files["lightgbm.txt"].count(b"\nTree=") < 200


def test_native_categories_are_split_as_sets(tmp_path: Path) -> None:
    codes = np.arange(120) % 6
    features = np.column_stack([codes.astype(float), FEATURES[:, 0]])
    target = np.isin(codes, [0, 3, 4]).astype("int64")
    part = Part(features=features, target=target)
    params = {**QUICK["lightgbm"], "min_data_per_group": 1, "cat_smooth": 1.0}
    files = FAMILIES["lightgbm"].fit(training("binary", params, train=part, codes=(0,)))
    assert b"num_cat=1" in files["lightgbm.txt"]
    (tmp_path / "lightgbm.txt").write_bytes(files["lightgbm.txt"])
    features[:5, 0] = np.nan
    found = FAMILIES["lightgbm"].predict(tmp_path, features, 2)
    assert np.array_equal(found[6:, 1] > 0.5, target[6:] == 1)


@pytest.mark.parametrize(
    ("name", "task", "params", "where"),
    [
        ("lightgbm", "regression", {"objective": "poisson"}, ("objective",)),
        ("logistic_regression", "binary", {"solver": "newton-cholesky", "l1_ratio": 0.5}, ()),
    ],
)
def test_what_the_library_refuses_is_a_sentence(
    name: str, task: str, params: Any, where: tuple[str, ...]
) -> None:
    with pytest.raises(StepError) as caught:
        FAMILIES[name].fit(training(task, params))
    assert caught.value.problems[0].where == ("model", "params", *where)


@pytest.mark.parametrize("score", [0.0, 1.0, -1.0, 40.0, -40.0, 800.0, -800.0])
def test_sigmoid_does_not_overflow(score: float) -> None:
    assert 0.0 <= sigmoid(score) <= 1.0
    assert sigmoid(score) + sigmoid(-score) == pytest.approx(1.0)
    assert softmax([0.0, score])[1] == pytest.approx(sigmoid(score))


HIST_LOSSES = ("squared_error", "absolute_error", "quantile", "poisson", "gamma")
WEIGHTS = ("balanced", "balanced_subsample")
GRIDS: dict[str, tuple[dict[str, list[Any]], ...]] = {
    "logistic_regression": (
        {
            "solver": ["lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"],
            "dual": [False, True],
            "l1_ratio": [None, 0.0, 0.5, 1.0],
            "class_weight": [None, "balanced"],
            "fit_intercept": [False, True],
            "tol": [0.0, 0.0001],
        },
    ),
    "ridge": (
        {
            "solver": ["auto", "cholesky", "lbfgs", "lsqr", "sag", "saga", "sparse_cg", "svd"],
            "positive": [False, True],
            "fit_intercept": [False, True],
            "alpha": [0.0, 1.0],
            "tol": [0.0, 0.0001],
        },
    ),
    "elastic_net": (
        {
            "alpha": [0.0, 1.0],
            "l1_ratio": [0.0, 0.5, 1.0],
            "positive": [False, True],
            "selection": ["cyclic", "random"],
            "tol": [0.0, 0.0001],
        },
    ),
    "hist_gradient_boosting": (
        {
            "loss": ["log_loss", *HIST_LOSSES],
            "quantile": [None, 0.0, 0.3, 1.0],
            "class_weight": [None, "balanced"],
        },
        {"interaction_cst": [None, "pairwise", "no_interactions"], "max_bins": [2, 255]},
        {"early_stopping": [None, False], "n_iter_no_change": [1, 5], "tol": [0.0, 0.1]},
    ),
    **dict.fromkeys(
        ("random_forest", "extra_trees"),
        (
            {"criterion": [*sum(CRITERIA.values(), ())], "class_weight": [None, *WEIGHTS]},
            {"bootstrap": [False, True], "max_samples": [None, 1, 50, 0.5, 1.0, 1.5]},
            {
                "max_features": [None, "sqrt", "log2", 0, 1, 3, 0.5, 1.0, 1.5],
                "min_samples_leaf": [0, 1, 0.1, 1.0, 2.0],
                "min_samples_split": [1, 2, 0.1, 1.0, 1.5],
            },
            {"max_leaf_nodes": [None, 2], "ccp_alpha": [0.0, 0.1], "max_depth": [None, 1]},
        ),
    ),
    "lightgbm": (
        {
            "boosting": [None, "rf", "goss"],
            "data_sample_strategy": [None, "goss"],
            "bagging_freq": [None, -1, 1],
            "bagging_fraction": [None, 0.5, 1.0],
            "feature_fraction": [None, 0.5],
        },
        {
            "data_sample_strategy": [None, "goss"],
            "top_rate": [None, 0.0, 0.5, 1.0],
            "other_rate": [None, 0.0, 0.5, 0.6],
        },
        {
            "objective": [None, *dict.fromkeys(sum(OBJECTIVES.values(), ()))],
            "alpha": [None, 0.5, 1.0],
            "linear_tree": [None, True],
            "monotone_constraints": [None, [], [0, 0, 0, 0], [1, 0, 0, -1]],
        },
        {
            "objective": [None, "cross_entropy", "multiclassova"],
            "is_unbalance": [None, True],
            "scale_pos_weight": [None, 1.0, 2.0],
        },
        {"linear_tree": [None, True], "zero_as_missing": [None, True]},
        {"metric": [[], *LISTED["metric"].choices, ["auc_mu", "multi_error"], ["l1", "auc"]]},
        *(
            {name: [[], [1], [1, 1, 1, 1], [1, 1, 1, 1, 1]], "monotone_penalty": [None, 1.0]}
            for name in PER_FEATURE
            if name != "max_bin_by_feature"
        ),
        {"max_bin_by_feature": [[], [9], [9, 9, 9, 9]]},
        {
            "auc_mu_weights": [
                [],
                1.0,
                0.0,
                [1.0],
                [1.0] * 9,
                [0, 1, 1, 1, 0, 1, 1, 1, 0],
                [0.0] * 9,
            ]
        },
    ),
}


@pytest.mark.parametrize(("name", "task"), EVERY)
@pytest.mark.filterwarnings("ignore")
def test_what_a_family_complains_of_is_what_its_library_refuses(
    name: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = FAMILIES[name]
    monkeypatch.setattr(lightgbm_family, "misfits", lambda *given: ())  # the library has its say
    monkeypatch.setattr(lightgbm_family, "unfit_targets", lambda *given: ())
    rounds = {ROUNDS.get(name, "max_iter"): 3}
    for grid in GRIDS[name]:
        for values in itertools.product(*grid.values()):
            params = dict(zip(grid, values, strict=True))
            if name in ("lightgbm", "hist_gradient_boosting"):
                params = {key: value for key, value in params.items() if value is not None}
            if params.get("loss") in ("poisson", "gamma"):
                continue  # what they refuse are these targets
            if params.get("criterion") == "poisson":
                continue  # likewise
            if params.get("objective", "") not in ("", *OBJECTIVES[task]):
                continue  # an objective of another task: that is our rule
            given: Any = freeze(params)
            found = family.complaints(given, task, False)
            found += family.misfits(given, ("numeric",) * 4, CLASSES[task])
            if task == "regression" and name == "lightgbm":
                found += unfit_targets(given, TARGETS[task])
            try:
                family.fit(training(task, {**params, **rounds}))
            except StepError:
                assert found, params
            else:
                assert not found, params


TARGETED = [{"objective": name} for name in OBJECTIVES["regression"]]
TARGETED += [{"metric": name} for name in LISTED["metric"].choices]


@pytest.mark.parametrize("targets", [SCORE, np.abs(SCORE), np.maximum(SCORE, 0), 0 * SCORE])
def test_targets_that_lightgbm_complains_of_are_those_it_refuses(
    targets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lightgbm_family, "unfit_targets", lambda *given: ())
    part = Part(features=FEATURES, target=targets)
    for params in TARGETED:
        given: Any = freeze(params)
        if FAMILIES["lightgbm"].complaints(given, "regression", False):
            continue
        try:
            FAMILIES["lightgbm"].fit(
                training("regression", {**params, "num_iterations": 2}, train=part)
            )
        except StepError:
            assert unfit_targets(given, targets), params
        else:
            assert not unfit_targets(given, targets), params


def test_what_lightgbm_refuses_is_one_line_and_nothing_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lightgbm_family, "misfits", lambda *given: ())
    params = {"num_iterations": 2, "monotone_constraints": [1]}
    with pytest.raises(StepError) as caught:
        FAMILIES["lightgbm"].fit(training("binary", params))
    (problem,) = caught.value.problems
    assert problem.where == ("model", "params", "monotone_constraints")
    assert "\n" not in problem.message and ".cpp" not in problem.message
    assert capfd.readouterr().err == ""
