"""Families: what they fit is what their library fits, and what they keep says the same again."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import pytest
import sklearn.ensemble
import sklearn.linear_model

from mlops_compile.emit.render import render
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.problem import StepError
from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import Map, freeze
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
            if name not in ("logistic_regression", "ridge"):
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


# Trees of scikit-learn

ESTIMATORS = {
    "extra_trees": "ExtraTrees",
    "hist_gradient_boosting": "HistGradientBoosting",
    "random_forest": "RandomForest",
}
GAPS = RANDOM.normal(size=(400, 4))
GAPS[:, 3] = RANDOM.randint(0, 40, 400)  # more levels than a word of bits has
GAPS[RANDOM.rand(400) < 0.1, 1] = np.nan
GAPS[RANDOM.rand(400) < 0.1, 3] = np.nan
GAPPED = np.nan_to_num(GAPS[:, 0]) - 2 * np.nan_to_num(GAPS[:, 1]) + (GAPS[:, 3] % 3 == 1)
WITH_GAPS = {
    "binary": (GAPPED > 0).astype("int64"),
    "multiclass": np.digitize(GAPPED, [-1.0, 1.0]).astype("int64"),
    "regression": GAPPED,
}


def hostile(thresholds: Any) -> Any:
    """Rows of a model's thresholds and their neighbours, odd levels, large numbers and gaps."""
    found = GAPS.repeat(2, axis=0)
    found[:, 0] = RANDOM.choice(thresholds, len(found))
    for place, kind in ((0, "float64"), (1, "float32")):
        steps = np.nextafter(found[place::4, 0].astype(kind), np.array(np.inf, kind))
        found[place::4, 0] = steps
    found[::5, 1] = RANDOM.choice([0.0, -0.0, 1e38, -1e38, 5e-324, np.nan], len(found[::5]))
    found[::7, 3] = RANDOM.choice([-1.0, 50.0, 2.5, np.nan], len(found[::7]))
    return found


def by_scorer(folder: Path, name: str, task: str, rows: Any) -> Any:
    """What the generated code answers, in C (where a compiler is) as in Python."""
    fields = tuple(RequestField(name=n, type="numeric", nullable=True) for n in "abcd")
    classes = ("x", "y", "z")[: CLASSES[task]]
    spec = ServingSpec(
        name="s",
        model="0" * 64,
        family=name,
        scorer=FAMILIES[name].scorer,
        contract=Contract(request=fields, target="t", task=task, classes=classes),
        columns=tuple(
            ServedColumn(name=n, attribute=f"c{k}", kind="numeric", nullable=True, lines=())
            for k, n in enumerate("abcd")
        ),
        features=("c0", "c1", "c2", "c3"),
        origins=("a", "b", "c", "d"),
        made=tuple((n, "numeric") for n in "abcd"),
        example=Map(dict.fromkeys("abcd", 1.0)),
        requirements=(),
        max_records=9,
        max_body_bytes=99,
        trees=FAMILIES[name].trees(folder, CLASSES[task]),
    )
    files = render(spec)
    for file in ("scorer.c", "trees.py"):
        (folder / file).write_text(files[file], "ascii")
    space: dict[str, Any] = {}
    exec(compile(files["scorer.py"], "scorer.py", "exec"), space)
    records = [SimpleNamespace(c0=r[0], c1=r[1], c2=r[2], c3=r[3]) for r in rows.tolist()]
    in_c, in_python = space["Scorer"](folder, True, [folder]), space["Scorer"](folder, False)
    assert in_c.scores(records) == in_python.scores(records)
    return np.array(in_c.scores(records))


@pytest.mark.parametrize("task", sorted(CLASSES))
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("extra_trees", {"n_estimators": 9}),
        ("extra_trees", {"n_estimators": 9, "max_leaf_nodes": 12, "bootstrap": True}),
        ("random_forest", {"n_estimators": 9}),
        ("random_forest", {"n_estimators": 9, "ccp_alpha": 0.01, "max_features": 1.0}),
        ("hist_gradient_boosting", {"max_iter": 9}),
        ("hist_gradient_boosting", {"max_iter": 9, "max_depth": 2, "max_features": 0.5}),
    ],
)
def test_trees_are_scikit_learns_bit_for_bit(
    tmp_path: Path, name: str, params: Any, task: str
) -> None:
    codes = (3,) if name == "hist_gradient_boosting" else ()
    weights = RANDOM.exponential(size=400)
    part = Part(features=GAPS, target=WITH_GAPS[task], weights=weights)
    files = FAMILIES[name].fit(training(task, params, train=part, codes=codes, names=tuple("abcd")))
    (tmp_path / "trees.json").write_bytes(files["trees.json"])
    own = {"categorical_features": [3], "early_stopping": False} if codes else {}
    kind = "Classifier" if CLASSES[task] else "Regressor"
    model = getattr(sklearn.ensemble, ESTIMATORS[name] + kind)(random_state=3, **params, **own)
    model.fit(GAPS, WITH_GAPS[task], sample_weight=weights)
    trees = json.loads(files["trees.json"])["trees"]
    splits = [
        limit
        for tree in trees
        for feature, limit in zip(tree["feature"], tree["threshold"], strict=True)
        if feature == 0 and limit is not None
    ]
    rows = hostile(splits)
    expected = model.predict_proba(rows) if CLASSES[task] else model.predict(rows)
    found = FAMILIES[name].predict(tmp_path, rows, CLASSES[task])
    if name == "hist_gradient_boosting" and task == "multiclass":  # numpy has an exp of its own
        assert np.allclose(found, expected, rtol=1e-15, atol=0)
    else:
        assert np.array_equal(found, expected)
    served = by_scorer(tmp_path, name, task, rows)
    assert np.array_equal(served if CLASSES[task] else served[:, 0], found)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "quantile", "absolute_error"])
def test_losses_of_hist_gradient_boosting(tmp_path: Path, loss: str) -> None:
    params = {"max_iter": 9, "loss": loss, **({"quantile": 0.7} if loss == "quantile" else {})}
    target = np.abs(SCORE) + 0.1
    part = Part(features=FEATURES, target=target)
    found = fit(tmp_path, "hist_gradient_boosting", "regression", params, train=part)
    model = sklearn.ensemble.HistGradientBoostingRegressor(
        **params, early_stopping=False, random_state=3
    ).fit(FEATURES, target)
    assert np.allclose(found, model.predict(FEATURES), rtol=1e-15, atol=0)
    served = by_scorer(tmp_path, "hist_gradient_boosting", "regression", FEATURES)
    assert np.array_equal(served[:, 0], found)


def test_hist_gradient_boosting_stops_on_the_validation_part() -> None:
    half = Part(features=FEATURES[:60], target=TARGETS["binary"][:60])
    noise = Part(features=FEATURES[60:], target=RANDOM.permutation(TARGETS["binary"][60:]))
    params = {"max_iter": 200, "min_samples_leaf": 5, "early_stopping": True}
    params["n_iter_no_change"] = 3
    files = FAMILIES["hist_gradient_boosting"].fit(
        training("binary", params, train=half, validation=noise)
    )
    model = sklearn.ensemble.HistGradientBoostingClassifier(**params, random_state=3).fit(
        half.features, half.target, X_val=noise.features, y_val=noise.target
    )
    assert len(json.loads(files["trees.json"])["trees"]) == model.n_iter_ < 200


def test_too_many_levels_are_a_sentence() -> None:
    features = np.column_stack([np.arange(120.0), FEATURES[:, 0]])
    part = Part(features=features, target=TARGETS["binary"])
    given = training("binary", {"max_bins": 100}, train=part, codes=(0,), names=("city", "age"))
    with pytest.raises(StepError, match="'city' has 120 levels") as caught:
        FAMILIES["hist_gradient_boosting"].fit(given)
    assert caught.value.problems[0].where == ("data", "columns", "city")


# Weights and directions


def test_a_share_of_large_weights_is_not_drawn(tmp_path: Path) -> None:
    """scikit-learn would draw half of 120 million rows for each tree."""
    params = {"n_estimators": 2, "max_samples": 0.5, "bootstrap": True}
    heavy = Part(features=FEATURES, target=TARGETS["binary"], weights=np.full(120, 1e6))
    for name in ("random_forest", "extra_trees"):
        with pytest.raises(StepError, match="60,000,000 rows would be drawn") as caught:
            FAMILIES[name].fit(training("binary", params, train=heavy))
        assert (
            caught.value.problems[0].hint == "state a number of rows: model.params.max_samples=60"
        )
        light = replace(heavy, weights=np.full(120, 2.0))
        assert fit(tmp_path, name, "binary", params, train=light).shape == (120, 2)


LIBRARIES: dict[str, Any] = {
    "ridge": sklearn.linear_model.Ridge,
    "elastic_net": sklearn.linear_model.ElasticNet,
    "logistic_regression": sklearn.linear_model.LogisticRegression,
}


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_weights_of_linear_models_are_scikit_learns(tmp_path: Path, name: str) -> None:
    task = "binary" if name == "logistic_regression" else "regression"
    weights = RANDOM.exponential(size=120)
    part = Part(features=FEATURES, target=TARGETS[task], weights=weights)
    found = fit(tmp_path, name, task, train=part)
    model = LIBRARIES[name](**QUICK.get(name, {}), random_state=3)
    model.fit(FEATURES, TARGETS[task], sample_weight=weights)
    expected = model.predict_proba(FEATURES) if task == "binary" else model.predict(FEATURES)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert not np.allclose(found, fit(tmp_path, name, task), rtol=1e-6)


@pytest.mark.parametrize(
    ("objective", "params"),
    [
        ("quantile", {"alpha": 0.7}),
        ("poisson", {}),
        ("tweedie", {"tweedie_variance_power": 1.3}),
        ("gamma", {}),
        ("regression_l1", {}),
    ],
)
def test_objectives_and_weights_of_lightgbm(tmp_path: Path, objective: str, params: Any) -> None:
    target, weights = np.abs(SCORE) + 0.1, RANDOM.exponential(size=120)
    own = {**QUICK["lightgbm"], "objective": objective, **params}
    part = Part(features=FEATURES, target=target, weights=weights)
    found = fit(tmp_path, "lightgbm", "regression", own, train=part)
    fixed = {"verbosity": -1, "seed": 3, "num_threads": 1, "deterministic": True}
    every = {**own, **fixed, "force_col_wise": True}
    rows = lightgbm.Dataset(FEATURES, target, weight=weights, params=every)
    assert np.array_equal(found, lightgbm.train(every, rows).predict(FEATURES))
    assert objective == "quantile" or found.min() > 0  # on the scale of the target


@pytest.mark.parametrize("name", [name for name, item in FAMILIES.items() if item.monotone])
@pytest.mark.parametrize("sign", [1, -1])
def test_predictions_keep_their_direction(tmp_path: Path, name: str, sign: int) -> None:
    params = {**QUICK[name], ROUNDS.get(name, "max_iter"): 30}
    files = FAMILIES[name].fit(training("regression", params, monotone=(sign, 0, 0, 0)))
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    lines = np.tile(np.linspace(-3, 3, 50), 5)
    rows = np.column_stack([lines, *(np.repeat(RANDOM.normal(size=5), 50) for _ in range(3))])
    found = FAMILIES[name].predict(tmp_path, rows, 0).reshape(5, 50)
    assert (np.diff(found) * sign >= 0).all()
