"""The metrics of a run are near those of a script that someone would write without the project.

It prepares in ways of its own and shares only the rows of the split; that runs equal their
libraries' calls to the last bit is held in tests/libraries. With MLOPS_DATA set to a folder of
adult-train.csv, taxis.csv and penguins.csv, on these too.
"""

from __future__ import annotations

import os
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn.compose
import sklearn.datasets
import sklearn.impute
import sklearn.linear_model
import sklearn.metrics
import sklearn.pipeline
import sklearn.preprocessing

import mlops_compile as mc
from mlops_compile.store.store import Store
from tests.project import good

REAL = os.environ.get("MLOPS_DATA", "")
ADULT = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,"
    "sex,capital-gain,capital-loss,hours-per-week,native-country,income"
)


def _rows(record: mc.RunRecord, project: Path, part: str) -> np.ndarray:
    store = Store(project / ".mlops" / "store")
    return np.load(store.blobs.read(record["split"].output(part)))


def _parts(record: mc.RunRecord, project: Path) -> tuple[np.ndarray, np.ndarray]:
    return _rows(record, project, "train"), _rows(record, project, "test")


def test_lightgbm_binary(tmp_path: Path) -> None:
    record = mc.run(["data=breast_cancer"], project=tmp_path)
    train, test = _parts(record, tmp_path)
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    y = (y == 0).astype(int)
    params = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "verbosity": -1}
    model = lightgbm.train(params, lightgbm.Dataset(x.iloc[train], y.iloc[train]), 200)
    score = sklearn.metrics.roc_auc_score(y.iloc[test], model.predict(x.iloc[test]))
    assert record.metrics["test"]["roc_auc"] == pytest.approx(score, abs=0.01)


def test_logistic_regression_binary(tmp_path: Path) -> None:
    words = ["data=breast_cancer", "model=logistic_regression", "model.params.tol=1e-8"]
    record = mc.run(words, project=tmp_path)
    train, test = _parts(record, tmp_path)
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    y = 1 - y
    model = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(),
        sklearn.linear_model.LogisticRegression(max_iter=1000, tol=1e-8),
    ).fit(x[train], y[train])
    predicted = model.predict_proba(x[test])[:, 1]
    found = record.metrics["test"]
    assert found["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(y[test], predicted))
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(y[test], predicted), 1e-4)
    assert found["brier"] == pytest.approx(
        sklearn.metrics.brier_score_loss(y[test], predicted), 1e-4
    )


def test_ridge(tmp_path: Path) -> None:
    record = mc.run(["data=diabetes", "model=ridge"], project=tmp_path)
    train, test = _parts(record, tmp_path)
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    model = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(), sklearn.linear_model.Ridge(alpha=1.0)
    ).fit(x[train], y[train])
    found = record.metrics["test"]
    assert found["r2"] == pytest.approx(sklearn.metrics.r2_score(y[test], model.predict(x[test])))


@pytest.mark.skipif(not REAL, reason="MLOPS_DATA is not set")
@pytest.mark.parametrize(
    ("file", "target", "model", "columns", "least"),
    [
        ("adult-train.csv", "income", "lightgbm", ADULT, 0.92),
        ("adult-train.csv", "income", "logistic_regression", ADULT, 0.90),
        ("penguins.csv", "species", "lightgbm", "", 0.95),
        ("penguins.csv", "species", "logistic_regression", "", 0.95),
        ("taxis.csv", "fare", "lightgbm", "", 0.90),
        ("taxis.csv", "fare", "ridge", "", 0.90),
        ("taxis.csv", "payment", "lightgbm", "", 0.85),
    ],
)
def test_real_data(
    tmp_path: Path, file: str, target: str, model: str, columns: str, least: float
) -> None:
    """Within noise of the script: 0.01 (or one row) for trees, 0.001 for linear models."""
    data = Path(REAL) / file
    words = ("--columns", columns) if columns else ()
    good(tmp_path, "init", "p", "--data", str(data), "--target", target, *words)
    project = tmp_path / "p"
    here = os.getcwd()
    os.chdir(project)
    try:
        record = mc.run([f"model={model}"])
    finally:
        os.chdir(here)
    train, test = _parts(record, project)
    names = columns.split(",") if columns else None
    frame = pd.read_csv(
        data, header=None if names else 0, names=names, na_values="?", skipinitialspace=True
    )
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    y, x = frame.pop(target), frame
    metric, score = _script(x, y, train, test, model)
    assert record.metrics["test"][metric] > least
    # The order of features decides ties between splits; of few rows, one may fall otherwise.
    tolerance = max(0.01, 1.5 / len(test)) if model == "lightgbm" else 0.001
    assert record.metrics["test"][metric] == pytest.approx(score, abs=tolerance)


def _script(
    x: pd.DataFrame, y: pd.Series, train: np.ndarray, test: np.ndarray, model: str
) -> tuple[str, float]:
    """What a plain script reaches: the metric's name, and its value on the test rows."""
    times = [name for name in x if name in ("pickup", "dropoff")]
    for name in times:
        moment = pd.to_datetime(x.pop(name))
        for part in ("year", "month", "day", "day_of_week", "hour"):
            x[f"{name}_{part}"] = getattr(moment.dt, part).astype("float64")
    texts = [name for name in x if not pd.api.types.is_numeric_dtype(x[name])]
    classes = sorted(y.unique()) if not pd.api.types.is_numeric_dtype(y) else []
    truth = y.map({name: n for n, name in enumerate(classes)}) if classes else y
    if model == "lightgbm":
        fitted = _trees(x, truth, train, texts, len(classes))
    else:
        fitted = _linear(x, truth, train, texts, model)
    predicted = fitted(x.iloc[test])
    if not classes:
        return "r2", sklearn.metrics.r2_score(truth.iloc[test], predicted)
    if len(classes) == 2:
        return "roc_auc", sklearn.metrics.roc_auc_score(truth.iloc[test], predicted)
    return "accuracy", sklearn.metrics.accuracy_score(truth.iloc[test], predicted.argmax(axis=1))


def _trees(x, truth, train, texts, classes):
    coded = x.copy()
    for name in texts:
        coded[name] = pd.Categorical(
            x[name], categories=sorted(x[name].iloc[train].dropna().unique())
        )
    objective = "multiclass" if classes > 2 else "binary" if classes else "regression"
    params = {"objective": objective, "learning_rate": 0.05, "verbosity": -1}
    if classes > 2:
        params["num_class"] = classes
    rows = lightgbm.Dataset(coded.iloc[train], truth.iloc[train])
    model = lightgbm.train(params, rows, 200)
    return lambda part: model.predict(coded.loc[part.index])


def _linear(x, truth, train, texts, name):
    numbers = [column for column in x if column not in texts]
    scaled = sklearn.pipeline.make_pipeline(
        sklearn.impute.SimpleImputer(strategy="median"), sklearn.preprocessing.StandardScaler()
    )
    coded = sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore")
    prepared = sklearn.compose.ColumnTransformer([("n", scaled, numbers), ("t", coded, texts)])
    if name == "ridge":
        model = sklearn.pipeline.make_pipeline(prepared, sklearn.linear_model.Ridge(alpha=1.0))
        return model.fit(x.iloc[train], truth.iloc[train]).predict
    logistic = sklearn.linear_model.LogisticRegression(C=1.0, max_iter=1000)
    model = sklearn.pipeline.make_pipeline(prepared, logistic).fit(x.iloc[train], truth.iloc[train])
    binary = truth.nunique() == 2
    return lambda part: model.predict_proba(part)[:, 1] if binary else model.predict_proba(part)
