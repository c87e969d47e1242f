"""Runs of every family answer as the plain call of its library, for each of its objectives.

The features are those of the run (test_preparations.py looks at these), rows and weights are taken
from the file. Answers are equal to the last bit but where a library sums or exponentiates with
code of its own; each comparison says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import sklearn.ensemble
import sklearn.linear_model
import threadpoolctl
from sklearn.utils.class_weight import compute_class_weight

from mlops_compile.ir.problem import StepError
from tests.libraries.measures import by_scikit_learn
from tests.libraries.runs import Array, Project, Run
from tests.libraries.sets import SETS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
Of = Callable[[str], Project]
PLAIN: dict[str, Any] = {}  # the case whose rows all count alike
TASKS = ("binary", "multiclass", "regression")
CLASSES = TASKS[:2]
SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_iterations": 12, "num_leaves": 15},
    "hist_gradient_boosting": {"max_iter": 12, "max_leaf_nodes": 15},
    "random_forest": {"n_estimators": 8, "min_samples_leaf": 2},
    "extra_trees": {"n_estimators": 8, "min_samples_leaf": 2},
    "logistic_regression": {"C": 0.5, "max_iter": 60},
    "ridge": {"alpha": 2.0},
    "elastic_net": {"alpha": 0.05, "l1_ratio": 0.5},
}


def told(case: Any) -> str:
    """The name of a case: a task or a family, or what of a case's parameters comes first."""
    if isinstance(case, str):
        return case
    return "plain" if case is PLAIN else "-".join(map(str, next(iter(case.items()), ["usual"])))


def ran(project: Project, family: str, task: str, own: dict[str, Any], *words: str, **more: Any):
    """A run of a family with parameters, which are put in place of those of its group."""
    params = {**SMALL[family], **own}
    text = ", ".join(f"{name}: {_yaml(value)}" for name, value in params.items())
    given = [f"model={family}", "~model.params", f"+model.params={{{text}}}", *words]
    return project.run(task, *given, **more), params


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def compared(run: Run, expected: Array, relative: float = 0.0) -> None:
    """Predictions are those expected, and their metrics scikit-learn's."""
    if relative:
        assert np.allclose(run.predicted, expected, rtol=relative, atol=0)
    else:
        assert np.array_equal(run.predicted, expected)
    test = run.rows("test")
    found = by_scikit_learn(run.metrics, run.truth[test], run.predicted, run.weighing(test))
    assert run.metrics == found
    assert len(found) >= 3


# LightGBM: to the last bit. Its own text keeps every number of a model, and it is asked itself.


def boosted(run: Run, params: dict[str, Any], by_class: Any = None) -> Array:
    """What `lightgbm.train` answers for the test rows."""
    fixed = {"seed": run.seed, "deterministic": True, "force_col_wise": True, "verbosity": -1}
    every = {"objective": _objective(run), **params, **fixed}
    if len(run.classes) > 2:
        every["num_class"] = len(run.classes)
    rounds = every.pop("num_iterations")
    train, validation, test = (run.rows(part) for part in ("train", "validation", "test"))
    weights = run.weighing(train)
    if by_class is not None:
        weights = weighed(run, train, by_class)
    rows = lightgbm.Dataset(
        run.features[train], run.truth[train], weight=weights, categorical_feature=run.codes,
        params=every, free_raw_data=False,
    )  # fmt: skip
    valid = []
    if every.get("early_stopping_round"):
        valid = [
            rows.create_valid(
                run.features[validation], run.truth[validation], weight=run.weighing(validation)
            )
        ]
    model = lightgbm.train(every, rows, rounds, valid_sets=valid)
    found = model.predict(run.features[test])
    return np.column_stack([1 - found, found]) if len(run.classes) == 2 else np.asarray(found)


def weighed(run: Run, rows: Array, by_class: Any) -> Array:
    """What rows weigh, times what scikit-learn says that their classes do."""
    truth, weights = run.truth[rows], run.weighing(rows)
    factors = compute_class_weight(
        by_class, classes=np.arange(len(run.classes)), y=truth, sample_weight=weights
    )[truth]
    return factors if weights is None else weights * factors


def _objective(run: Run) -> str:
    count = len(run.classes)
    return "regression" if not count else "binary" if count == 2 else "multiclass"


OBJECTIVES: list[tuple[str, dict[str, Any]]] = [
    ("binary", {"objective": "binary"}),
    ("binary", {"objective": "cross_entropy"}),
    ("multiclass", {"objective": "multiclass"}),
    ("multiclass", {"objective": "multiclassova"}),
    ("regression", {"objective": "regression"}),
    ("regression", {"objective": "regression", "reg_sqrt": True}),
    ("regression", {"objective": "regression_l1"}),
    ("regression", {"objective": "huber", "alpha": 0.8}),
    ("regression", {"objective": "fair"}),
    ("regression", {"objective": "mape"}),
    ("regression", {"objective": "quantile", "alpha": 0.2}),
    ("regression", {"objective": "poisson"}),
    ("regression", {"objective": "tweedie", "tweedie_variance_power": 1.3}),
    ("regression", {"objective": "gamma"}),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("task", "own"), OBJECTIVES, ids=told)
def test_objectives_of_lightgbm(
    project: Of, name: str, task: str, own: dict[str, Any], weighted: bool
) -> None:
    """What the library cannot fit (a split that leaves no row on one side, with very unequal
    weights) is refused in the library's words."""
    try:
        run, params = ran(project(name), "lightgbm", task, own, weighted=weighted)
    except StepError as error:
        (problem,) = error.problems
        run, params = ran(project(name), "lightgbm", task, own, weighted=weighted, until="prepare")
        with pytest.raises(lightgbm.basic.LightGBMError) as refused:
            boosted(run, params)
        words = str(refused.value).partition(" at ")[0]
        assert words and words in problem.message
        return
    compared(run, boosted(run, params))


LIGHTGBM: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"boosting": "dart", "drop_rate": 0.3}, TASKS),
    ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, TASKS),
    ({"bagging_freq": 2, "bagging_fraction": 0.5, "feature_fraction": 0.7}, TASKS),
    ({"extra_trees": True, "lambda_l1": 0.1, "lambda_l2": 2.0, "path_smooth": 1.0}, TASKS),
    ({"max_depth": 3, "min_data_in_leaf": 5, "max_bin": 31, "max_cat_to_onehot": 2}, TASKS),
    ({"cat_smooth": 1.0, "cat_l2": 1.0, "max_cat_threshold": 8, "min_data_per_group": 10}, TASKS),
    ({"early_stopping_round": 3, "num_iterations": 400, "learning_rate": 0.3}, TASKS),
    ({"is_unbalance": True}, ("binary",)),
    ({"scale_pos_weight": 3.0}, ("binary",)),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("own", "task"),
    [(own, task) for own, tasks in LIGHTGBM for task in tasks],
    ids=told,
)
def test_options_of_lightgbm(project: Of, name: str, own: dict[str, Any], task: str) -> None:
    weighted = "early_stopping_round" in own
    run, params = ran(project(name), "lightgbm", task, own, weighted=weighted)
    compared(run, boosted(run, params))


# Numbers that a monotone constraint can be put on.
ORDERED = {"adult": "age", "taxis": "distance", "penguins": "bill_length_mm"}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("family", ["lightgbm", "hist_gradient_boosting"])
def test_directions(project: Of, name: str, task: str, family: str) -> None:
    column = ORDERED[name]
    word = f"+model.monotone={{{column}: -1}}"
    run, params = ran(project(name), family, task, {}, word)
    names = [item["name"] for item in run.preparation["features"]]
    signs = [-1 if name == column else 0 for name in names]
    if family == "lightgbm":
        compared(run, boosted(run, {**params, "monotone_constraints": signs}))
    else:
        compared(run, estimated(run, family, {**params, "monotonic_cst": signs}))


# scikit-learn's trees: to the last bit, but for exponentials, which numpy has of its own.


def estimated(run: Run, family: str, params: dict[str, Any], by_class: Any = None) -> Array:
    """What scikit-learn's estimator answers for the test rows."""
    own: dict[str, Any] = {"random_state": run.seed, **params}
    stem = "".join(word.capitalize() for word in family.split("_"))
    kind = "Classifier" if run.classes else "Regressor"
    train, validation, test = (run.rows(part) for part in ("train", "validation", "test"))
    fitting: dict[str, Any] = {"sample_weight": run.weighing(train)}
    if family == "hist_gradient_boosting":
        own = {"early_stopping": False, "categorical_features": run.codes or None, **own}
        if own["early_stopping"]:
            fitting |= {"X_val": run.features[validation], "y_val": run.truth[validation]}
            fitting["sample_weight_val"] = run.weighing(validation)
    if by_class is not None:
        if family == "hist_gradient_boosting":  # whose own `balanced` counts rows
            fitting["sample_weight"] = weighed(run, train, by_class)
        else:
            own["class_weight"] = by_class
    model = getattr(sklearn.ensemble, stem + kind)(**own)
    model.fit(run.features[train], run.truth[train], **fitting)
    rows = run.features[test]
    found: Array = model.predict_proba(rows) if run.classes else model.predict(rows)
    return found


FORESTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (PLAIN, TASKS),
    ({}, TASKS),
    ({"criterion": "entropy", "max_features": "log2", "max_depth": 6}, CLASSES),
    ({"criterion": "log_loss", "max_leaf_nodes": 20, "min_impurity_decrease": 0.001}, CLASSES),
    ({"criterion": "poisson", "max_features": 0.5}, ("regression",)),
    ({"bootstrap": True, "max_samples": 150, "ccp_alpha": 0.001}, TASKS),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("family", ["random_forest", "extra_trees"])
@pytest.mark.parametrize(
    ("own", "task"), [(own, task) for own, tasks in FORESTS for task in tasks], ids=told
)
def test_forests(project: Of, name: str, family: str, own: dict[str, Any], task: str) -> None:
    run, params = ran(project(name), family, task, own, weighted=own is not PLAIN)
    compared(run, estimated(run, family, params))


HISTOGRAMS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (PLAIN, TASKS),
    ({}, TASKS),
    ({"max_depth": 4, "l2_regularization": 1.0, "max_bins": 250, "max_features": 0.6}, TASKS),
    ({"early_stopping": True, "max_iter": 60, "n_iter_no_change": 2, "learning_rate": 0.5}, TASKS),
    ({"loss": "absolute_error"}, ("regression",)),
    ({"loss": "quantile", "quantile": 0.8}, ("regression",)),
    ({"loss": "poisson"}, ("regression",)),
    ({"loss": "gamma"}, ("regression",)),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("own", "task"), [(own, task) for own, tasks in HISTOGRAMS for task in tasks], ids=told
)
def test_histogram_boosting(project: Of, name: str, own: dict[str, Any], task: str) -> None:
    family, weighted = "hist_gradient_boosting", own is not PLAIN
    run, params = ran(project(name), family, task, own, weighted=weighted)
    by_exp = task == "multiclass" or own.get("loss") in ("poisson", "gamma")
    compared(run, estimated(run, family, params), 1e-15 if by_exp else 0.0)


# Linear models: answers are sums from left to right, where numpy's are BLAS's, and exponentials of
# the C library, where numpy has its own.


def fitted(run: Run, family: str, params: dict[str, Any], by_class: Any = None) -> Any:
    """scikit-learn's linear model, fitted on one thread, as the run's is."""
    kinds = {
        "ridge": sklearn.linear_model.Ridge,
        "elastic_net": sklearn.linear_model.ElasticNet,
        "logistic_regression": sklearn.linear_model.LogisticRegression,
    }
    own = dict(params) if by_class is None else {**params, "class_weight": by_class}
    train = run.rows("train")
    model = kinds[family](**own, random_state=run.seed)
    with threadpoolctl.threadpool_limits(limits=1):
        model.fit(run.features[train], run.truth[train], sample_weight=run.weighing(train))
    return model


def compared_linear(run: Run, model: Any) -> None:
    rows = run.features[run.rows("test")]
    coefficients = np.atleast_2d(model.coef_)
    # How much the terms of a score come to, whose last bits a sum in another order may lose.
    size = (np.abs(rows) @ np.abs(coefficients).T + np.abs(model.intercept_)).max(axis=1)
    if not run.classes:
        assert (np.abs(run.predicted - model.predict(rows)) <= 1e-14 * size).all()
    else:
        distance = np.abs(run.predicted - model.predict_proba(rows))
        assert (distance.max(axis=1) <= 1e-14 * (1 + size)).all()
    test = run.rows("test")
    found = by_scikit_learn(run.metrics, run.truth[test], run.predicted, run.weighing(test))
    assert run.metrics == found


LINEAR: list[tuple[str, str, dict[str, Any]]] = [
    ("ridge", "regression", PLAIN),
    ("elastic_net", "regression", PLAIN),
    ("logistic_regression", "binary", PLAIN),
    ("ridge", "regression", {}),
    ("ridge", "regression", {"alpha": 50.0, "fit_intercept": False}),
    ("ridge", "regression", {"positive": True, "solver": "lbfgs"}),
    ("ridge", "regression", {"solver": "cholesky"}),
    ("elastic_net", "regression", {}),
    ("elastic_net", "regression", {"l1_ratio": 1.0, "selection": "random"}),
    ("elastic_net", "regression", {"positive": True, "tol": 1e-6}),
    ("logistic_regression", "binary", {}),
    ("logistic_regression", "multiclass", {}),
    ("logistic_regression", "multiclass", {"solver": "newton-cg", "max_iter": 15}),
    ("logistic_regression", "binary", {"solver": "newton-cholesky", "max_iter": 15}),
    ("logistic_regression", "binary", {"solver": "liblinear", "l1_ratio": 1.0, "max_iter": 20}),
    ("logistic_regression", "binary", {"solver": "saga", "l1_ratio": 0.5, "max_iter": 5}),
]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("family", "task", "own"), LINEAR, ids=told)
def test_linear_models(project: Of, name: str, family: str, task: str, own: dict[str, Any]) -> None:
    run, params = ran(project(name), family, task, own, weighted=own is not PLAIN)
    compared_linear(run, fitted(run, family, params))


# Class imbalance: scikit-learn's `class_weight`, in LightGBM the rows' weights that it stands for.


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("stated", ["balanced", "one"])
@pytest.mark.parametrize(
    "family",
    ["lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees", "logistic_regression"],
)
def test_class_weights(project: Of, name: str, task: str, family: str, stated: str) -> None:
    """One that is balanced is multiplied with the weights of rows."""
    level = sorted({value for value in project(name).frame[SETS[name].targets[task]] if value})[-1]
    word = "+model.class_weight=balanced"
    if stated != "balanced":  # a command line does not hold every name of a class
        file = project(name).folder / "conf" / "experiment" / "weighed.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# @package _global_\nmodel: {{class_weight: {{'{level}': 2.5}}}}\n")
        word = "experiment=weighed"
    run, params = ran(project(name), family, task, {}, word, weighted=stated == "balanced")
    given: Any = "balanced"
    if stated != "balanced":
        given = {code: 2.5 if level == own else 1.0 for code, own in enumerate(run.classes)}
    if family == "lightgbm":
        compared(run, boosted(run, params, given))
    elif family == "logistic_regression":
        compared_linear(run, fitted(run, family, params, given))
    else:
        loose = family == "hist_gradient_boosting" and task == "multiclass"
        compared(run, estimated(run, family, params, given), 1e-15 if loose else 0.0)


# Categories in the ways that there are to prepare them.


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "chain",
    ["[category]", "[{category: {min_count: 20}}]", "[ordinal]", "[one_hot]", "[frequency]"],
)
@pytest.mark.parametrize("family", ["lightgbm", "hist_gradient_boosting"])
def test_categories(project: Of, name: str, chain: str, family: str) -> None:
    task = next(iter(SETS[name].targets))
    run, params = ran(project(name), family, task, {}, f"prepare.categorical={chain}")
    assert bool(run.codes) == ("category" in chain)
    if family == "lightgbm":
        compared(run, boosted(run, params))
    else:
        loose = 1e-15 if task == "multiclass" else 0.0
        compared(run, estimated(run, family, params), loose)
