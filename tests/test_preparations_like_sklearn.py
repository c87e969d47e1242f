"""Preparations give what the scikit-learn calls give that they stand for.

On generated columns; with MLOPS_DATA set to a folder of adult-train.csv, taxis.csv and
penguins.csv, on each column of these too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.preprocessing as sk
from sklearn.model_selection import KFold, StratifiedKFold

from mlops_compile.ir.value import freeze
from mlops_compile.steps.preparations.chain import Rows, fit_chain
from mlops_compile.steps.preparations.kind import Feature, Target

REAL = os.environ.get("MLOPS_DATA", "")
ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]


def _generated() -> dict[str, Any]:
    random = np.random.default_rng(5)
    numbers = random.lognormal(2, 1.5, 400)
    gaps = np.where(random.random(400) < 0.1, np.nan, random.normal(0, 1e6, 400).round(-5))
    levels = np.array(["a", "b", "é", "d 'e'", None], dtype=object)
    return {
        "numbers": numbers,
        "gaps": gaps,
        "constant": np.full(400, 3.25),
        "tiny": random.normal(0, 1e-300, 400),
        "levels": levels[random.integers(0, 5, 400)],
        "pair": levels[random.integers(0, 2, 400)],
        "many": np.array([f"l{n % 97}" for n in range(400)], dtype=object),
    }


def _real(name: str) -> dict[str, Any]:
    columns = ADULT if name == "adult-train.csv" else None
    frame = pd.read_csv(Path(REAL) / name, names=columns, na_values="?", skipinitialspace=True)
    found: dict[str, Any] = {}
    for column in frame:
        if pd.api.types.is_numeric_dtype(frame[column]):
            found[str(column)] = frame[column].to_numpy("float64")
        elif str(column) not in ("pickup", "dropoff"):
            found[str(column)] = frame[column].astype(object).where(frame[column].notna(), None)
            found[str(column)] = found[str(column)].to_numpy()
    return found


SETS = {"generated": _generated()}
if REAL:
    SETS |= {name: _real(name) for name in ("adult-train.csv", "taxis.csv", "penguins.csv")}
NUMBERS = [(s, c) for s, cs in SETS.items() for c, v in cs.items() if v.dtype != object]
LEVELS = [(s, c) for s, cs in SETS.items() for c, v in cs.items() if v.dtype == object]


def made(options: Any, values: Any, target: Target | None = None) -> tuple[Any, Any]:
    """A preparation's features of all rows, learned from every second one; and these rows."""
    train = np.arange(0, len(values), 2)
    sort: Any = "categorical" if values.dtype == object else "numeric"
    if sort == "categorical":
        levels = sorted({value for value in values if value is not None})
        values = pd.Categorical(values, categories=pd.Index(levels, dtype=object))
    column = Feature(name="c", sort=sort, values=values)
    chain: Any = freeze([options])
    features, _ = fit_chain(chain, column, Rows(train=train, target=target), ())
    return np.column_stack([np.asarray(f.values) for f in features]), train


@pytest.mark.parametrize(("set_", "name"), NUMBERS)
@pytest.mark.parametrize(
    ("options", "reference", "exact"),
    [
        ({"scale": {}}, sk.StandardScaler(), False),
        ({"scale": {"kind": "robust"}}, sk.RobustScaler(), True),
        (
            {"scale": {"kind": "robust", "quantile_range": [5, 95]}},
            sk.RobustScaler(quantile_range=(5, 95)),
            True,
        ),
        ({"scale": {"kind": "minmax"}}, sk.MinMaxScaler(), True),
        (
            {"scale": {"kind": "minmax", "feature_range": [-1, 2]}},
            sk.MinMaxScaler((-1, 2)),
            True,
        ),
        (
            {"scale": {"kind": "quantile", "n_quantiles": 100}},
            sk.QuantileTransformer(n_quantiles=100, subsample=None),
            True,
        ),
        (
            {"scale": {"kind": "quantile", "output": "normal"}},
            sk.QuantileTransformer(output_distribution="normal", subsample=None),
            False,
        ),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_scales(set_: str, name: str, options: Any, reference: Any, exact: bool) -> None:
    values = SETS[set_][name]
    found, train = made(options, values)
    expected = reference.fit(values[train].reshape(-1, 1)).transform(values.reshape(-1, 1))
    if exact:
        assert np.array_equal(found, expected, equal_nan=True)
    else:
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("set_", "name"), NUMBERS)
@pytest.mark.parametrize("kind", ["quantile", "uniform"])
@pytest.mark.filterwarnings("ignore")
def test_bins(set_: str, name: str, kind: str) -> None:
    values = SETS[set_][name]
    values = values[~np.isnan(values)]  # which scikit-learn's does not take
    found, train = made({"bins": {"kind": kind, "bins": 7}}, values)
    reference = sk.KBinsDiscretizer(7, encode="ordinal", strategy=kind, subsample=None)
    expected = reference.fit(values[train].reshape(-1, 1)).transform(values.reshape(-1, 1))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("set_", "name"), NUMBERS)
def test_logs_and_clips(set_: str, name: str) -> None:
    values = SETS[set_][name]
    found, train = made({"log": {"outside": "missing"}}, values)
    with np.errstate(all="ignore"):
        expected = np.where(values > -1, np.log1p(values), np.nan)
    assert np.allclose(found[:, 0], expected, rtol=1e-15, atol=0, equal_nan=True)
    found, train = made({"clip": {"quantiles": [0.05, 0.95]}}, values)
    low, high = np.nanquantile(values[train], [0.05, 0.95])
    assert np.array_equal(found[:, 0], np.clip(values, low, high), equal_nan=True)


def _column(values: Any) -> Any:
    """As scikit-learn takes it: missing is a text that no row of the training part has."""
    return np.array(["\0" if v is None else v for v in values], dtype=object).reshape(-1, 1)


@pytest.mark.parametrize(("set_", "name"), LEVELS)
@pytest.mark.parametrize("drop", ["none", "first", "if_binary"])
@pytest.mark.filterwarnings("ignore")
def test_one_hot(set_: str, name: str, drop: str) -> None:
    values = SETS[set_][name]
    found, train = made({"one_hot": {"drop": drop}}, values)
    known = _column([v for v in values[train] if v is not None])
    reference = sk.OneHotEncoder(
        drop=None if drop == "none" else drop, handle_unknown="ignore", sparse_output=False
    )
    assert np.array_equal(found, reference.fit(known).transform(_column(values)))


def _target(task: str, rows: int) -> Any:
    random = np.random.default_rng(9)
    if task == "regression":
        return random.normal(10, 3, rows), ()
    classes = ("no", "yes") if task == "binary" else ("a", "b", "c")
    return random.integers(0, len(classes), rows), classes


@pytest.mark.parametrize(("set_", "name"), LEVELS)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("smooth", [None, 12.5])
def test_target_encoding(set_: str, name: str, task: str, smooth: float | None) -> None:
    """Training rows have the cross-fitted values, all others those of the whole fit."""
    values = SETS[set_][name]
    train = np.arange(0, len(values), 2)
    y, classes = _target(task, len(train))
    target = Target(values=y, classes=classes, seed=3)
    found, _ = made({"target_encoding": {"smooth": smooth}}, values, target)
    splitter = StratifiedKFold if classes else KFold
    kinds = {"regression": "continuous"}
    reference = sk.TargetEncoder(
        target_type=kinds.get(task, task),
        smooth="auto" if smooth is None else smooth,
        cv=splitter(5, shuffle=True, random_state=3),
    )
    x = _column(values)
    own = reference.fit_transform(x[train], y)
    others = np.setdiff1d(np.arange(len(values)), train)
    assert np.array_equal(found[train], own)
    expected = reference.transform(x[others])
    assert np.array_equal(found[others], expected)
    assert not np.array_equal(own, reference.transform(x[train]))


@pytest.mark.parametrize(("set_", "name"), LEVELS)
def test_frequency_is_pandas(set_: str, name: str) -> None:
    values = SETS[set_][name]
    found, train = made({"frequency": {"of": "count"}}, values)
    counts = pd.Series(values[train]).value_counts(dropna=False)
    missing = counts[counts.index.isna()].sum()
    known = counts[counts.index.notna()].to_dict()
    expected = [missing if value is None else known.get(value, 0) for value in values]
    assert found[:, 0].tolist() == expected
