"""Runs of every preparation make the features that plain pandas and scikit-learn make.

The reference reads the file itself, learns from the rows of the training part, and makes the
features of all rows. Equal to the last bit, but where the last column of a case says how near: the
mean and deviation of a standard scale are sums in another order, normal deviates another formula.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.preprocessing as sk
import yaml
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold

from mlops_compile.ir.key import derived_seed
from mlops_compile.steps.preparations import PREPARATIONS
from tests.libraries.runs import Array, Project, Run
from tests.libraries.sets import SETS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
Of = Callable[[str], Project]
Make = Callable[[Array, Array], Array]  # values of all rows, training rows -> features
TYPES = ("numeric", "categorical", "datetime")
NONE = "(none)"  # what stands for a missing text, where scikit-learn takes none


def prepared(project: Project, sort: str, chain: str, task: str | None = None) -> Run:
    """A run that prepares columns of one type alone."""
    own = [f"prepare.{name}={chain if name == sort else '[drop]'}" for name in TYPES]
    task = task or next(iter(project.data.targets))
    return project.run(task, *own, until="prepare")


def compared(run: Run, make: Callable[[str, Any], Array], near: float = 0.0) -> None:
    """Each column's features are those that `make` makes of its name and values."""
    origins = [item["column"] for item in run.preparation["features"]]
    assert origins
    for name in dict.fromkeys(origins):
        places = [place for place, origin in enumerate(origins) if origin == name]
        found, expected = run.features[:, places], make(str(name), run.frame[name])
        if expected.ndim == 1:
            expected = expected[:, np.newaxis]
        if near:
            assert np.allclose(found, expected, rtol=near, atol=near, equal_nan=True), name
        else:
            assert np.array_equal(found, expected, equal_nan=True), name


def learned(estimator: Any) -> Make:
    """What a scikit-learn transformer that learns from the training rows makes of all rows."""

    def make(values: Array, train: Array) -> Array:
        rows = values.reshape(-1, 1)
        found: Array = np.asarray(estimator.fit(rows[train]).transform(rows))
        return found

    return make


# Numbers


def _indicated(values: Array, train: Array) -> Array:
    rows = values.reshape(-1, 1)
    marks = MissingIndicator(features="all").fit(rows[train]).transform(rows)
    return np.column_stack([learned(SimpleImputer(strategy="mean"))(values, train), marks])


def _clipped(values: Array, train: Array) -> Array:
    return np.clip(values, *np.nanquantile(values[train], [0.02, 0.97]))


def _logged(values: Array, train: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(values > -1, np.log1p(values), np.nan)


def _logged_within(values: Array, train: Array) -> Array:
    """Values below the least training value that has a logarithm become it."""
    known = values[train]
    return np.log(np.maximum(values, known[known > 0].min()))


def _binned(strategy: str) -> Make:
    def make(values: Array, train: Array) -> Array:
        known = values[train][~np.isnan(values[train])].reshape(-1, 1)
        bins = sk.KBinsDiscretizer(6, encode="ordinal", strategy=strategy, subsample=None)
        found = bins.fit(known).transform(np.nan_to_num(values).reshape(-1, 1))[:, 0]
        return np.where(np.isnan(values), np.nan, found)

    return make


def _cut(values: Array, train: Array) -> Array:
    codes = pd.cut(values, [-np.inf, 2, 40, np.inf], right=False, labels=False)
    return np.asarray(codes, dtype="float64")


def _among(*levels: Any) -> Make:
    def make(values: Array, train: Array) -> Array:
        found: Array = np.where(pd.isna(values), np.nan, np.isin(values, levels))
        return found.astype("float64")

    return make


NUMERIC: list[tuple[str, Make, float]] = [
    ("[]", lambda values, train: values, 0.0),
    ("[{impute: {strategy: mean}}]", learned(SimpleImputer(strategy="mean")), 1e-15),
    ("[{impute: {strategy: median}}]", learned(SimpleImputer(strategy="median")), 0.0),
    ("[{impute: {strategy: most_frequent}}]",
     learned(SimpleImputer(strategy="most_frequent")), 0.0),
    ("[{impute: {strategy: constant, value: -1}}]",
     learned(SimpleImputer(strategy="constant", fill_value=-1)), 0.0),
    ("[{impute: {strategy: mean, indicator: true}}]", _indicated, 1e-15),
    ("[scale]", learned(sk.StandardScaler()), 1e-9),
    ("[{scale: {kind: robust}}]", learned(sk.RobustScaler()), 0.0),
    ("[{scale: {kind: robust, quantile_range: [5, 90]}}]",
     learned(sk.RobustScaler(quantile_range=(5, 90))), 0.0),
    ("[{scale: {kind: minmax, feature_range: [-1, 3]}}]", learned(sk.MinMaxScaler((-1, 3))), 0.0),
    ("[{scale: {kind: quantile, n_quantiles: 100}}]",
     learned(sk.QuantileTransformer(n_quantiles=100, subsample=None)), 0.0),
    ("[{scale: {kind: quantile, n_quantiles: 50, output: normal}}]",
     learned(sk.QuantileTransformer(n_quantiles=50, output_distribution="normal", subsample=None)),
     1e-9),
    ("[{clip: {quantiles: [0.02, 0.97]}}]", _clipped, 0.0),
    ("[{clip: {low: 2, high: 40}}]", lambda values, train: np.clip(values, 2, 40), 0.0),
    ("[{log: {outside: missing}}]", _logged, 1e-15),
    ("[{log: {kind: log, outside: clip}}]", _logged_within, 1e-15),
    ("[{bins: {kind: quantile, bins: 6}}]", _binned("quantile"), 0.0),
    ("[{bins: {kind: uniform, bins: 6}}]", _binned("uniform"), 0.0),
    ("[{bins: {kind: edges, edges: [2, 40]}}]", _cut, 0.0),
    ("[{is_in: {values: [0, 1, 40]}}]", _among(0.0, 1.0, 40.0), 0.0),
]  # fmt: skip


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("chain", "make", "near"), NUMERIC, ids=[case[0] for case in NUMERIC])
def test_numbers(project: Of, name: str, chain: str, make: Make, near: float) -> None:
    run = prepared(project(name), "numeric", chain)
    train = run.rows("train")
    compared(run, lambda _, values: make(values.to_numpy("float64"), train), near)


# Texts


def _texts(values: Array) -> Array:
    """As scikit-learn takes them: a column of objects, in which a missing one is a text."""
    return np.array([NONE if value is None else value for value in values], object).reshape(-1, 1)


def _coded(values: Array, train: Array) -> Array:
    """Codes of levels in order; what is missing or unseen is missing."""
    known = sorted({value for value in values[train] if value is not None})
    codes = pd.Categorical(list(values), categories=pd.Index(known, dtype=object)).codes
    return np.where(codes < 0, np.nan, codes)


def _often(values: Array, train: Array, least: int) -> Array:
    """The values, and none where they stand in fewer training rows."""
    counts = pd.Series(values[train], dtype=object).value_counts()
    return np.array([v if counts.get(v, 0) >= least else None for v in values], object)


def _ordinal(values: Array, train: Array) -> Array:
    encoder = sk.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    known = _texts(values)[train]
    return encoder.fit(known[known[:, 0] != NONE].reshape(-1, 1)).transform(_texts(values))


def _one_hot(drop: Any = None, least: int = 1) -> Make:
    def make(values: Array, train: Array) -> Array:
        known = _texts(_often(values, train, least))
        encoder = sk.OneHotEncoder(drop=drop, handle_unknown="ignore", sparse_output=False)
        own = known[train]
        return encoder.fit(own[own[:, 0] != NONE].reshape(-1, 1)).transform(known)

    return make


def _frequent(normalize: bool) -> Make:
    def make(values: Array, train: Array) -> Array:
        counts = pd.Series(_texts(values)[train, 0]).value_counts(normalize=normalize)
        return np.array([counts.get(value, 0.0) for value in _texts(values)[:, 0]], "float64")

    return make


def _grouped(values: Array, train: Array) -> Array:
    """One-hot of the levels of at least 2 % of the training rows, and of `other`."""
    counts = pd.Series(values[train], dtype=object).value_counts() / len(train)
    grouped = [
        None if value is None else value if counts.get(value, 0) >= 0.02 else "other"
        for value in values
    ]
    return _one_hot()(np.array(grouped, object), train)


def _buckets(values: Array, train: Array) -> Array:
    """Levels by CRC-32 in 8 buckets, in the order of the buckets' texts."""
    texts = [v if v is None else str(zlib.crc32(v.encode()) % 8) for v in values]
    return _coded(np.array(texts, object), train)


def _filled(values: Array, train: Array) -> Array:
    most = SimpleImputer(strategy="most_frequent", missing_values=NONE)
    filled = most.fit(_texts(values)[train]).transform(_texts(values))[:, 0]
    return _coded(filled, train)


def _long(count: Callable[[str], int]) -> Make:
    def make(values: Array, train: Array) -> Array:
        return np.array([np.nan if value is None else count(value) for value in values])

    return make


CATEGORICAL: list[tuple[str, Make]] = [
    ("[category]", _coded),
    ("[{category: {min_count: 15}}]", lambda values, t: _coded(_often(values, t, 15), t)),
    ("[ordinal]", _ordinal),
    ("[one_hot]", _one_hot()),
    ("[{one_hot: {drop: first}}]", _one_hot("first")),
    ("[{one_hot: {drop: if_binary}}]", _one_hot("if_binary")),
    ("[{one_hot: {min_count: 15}}]", _one_hot(least=15)),
    ("[frequency]", _frequent(True)),
    ("[{frequency: {of: count}}]", _frequent(False)),
    ("[{group_rare: {min_share: 0.02}}, one_hot]", _grouped),
    ("[{hashed: {buckets: 8}}, category]", _buckets),
    ("[{impute: {strategy: most_frequent}}, category]", _filled),
    ("[{impute: {strategy: constant, value: none}}, ordinal]",
     lambda values, t: _ordinal(np.array([v or "none" for v in values], object), t)),
    ("[{is_in: {values: [Private, yellow, MALE, Manhattan]}}]",
     _among("Private", "yellow", "MALE", "Manhattan")),
    ("[text_length]", _long(len)),
    ("[{text_length: {of: words}}]", _long(lambda text: len(text.split()))),
]  # fmt: skip


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("chain", "make"), CATEGORICAL, ids=[case[0] for case in CATEGORICAL])
def test_texts(project: Of, name: str, chain: str, make: Make) -> None:
    run = prepared(project(name), "categorical", chain)
    train = run.rows("train")
    compared(run, lambda _, values: make(values.to_numpy(object), train))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("smooth", ["", "smooth: 20.0, "])
def test_target_encoding(project: Of, name: str, task: str, smooth: str) -> None:
    """The training rows have the values of `fit_transform`, all others those of `transform`."""
    chain = f"[{{target_encoding: {{{smooth}folds: 4}}}}]"
    run = prepared(project(name), "categorical", chain, task)
    train = run.rows("train")
    others = np.setdiff1d(np.arange(len(run.frame)), train)
    splitter: Any = StratifiedKFold if run.classes else KFold
    seed = derived_seed(0, "prepare")

    def make(_: str, values: Any) -> Array:
        encoder = sk.TargetEncoder(
            target_type=task if run.classes else "continuous",
            smooth=20.0 if smooth else "auto",
            cv=splitter(4, shuffle=True, random_state=seed),
        )
        texts = _texts(values.to_numpy(object))
        own = encoder.fit_transform(texts[train], run.truth[train])
        found = np.empty((len(texts), own.shape[1]))
        found[train], found[others] = own, encoder.transform(texts[others])
        return found

    compared(run, make)


# Times: only the taxis have them

UNITS = {"days": "D", "hours": "h", "minutes": "min", "seconds": "s"}
PARTS = {"day_of_year": "dayofyear", "weekday": "weekday"}
CIRCLES: dict[str, Callable[[Any], Any]] = {
    "month": lambda at: (at.month - 1) / 12,
    "weekday": lambda at: at.weekday / 7,
    "hour": lambda at: at.hour / 24,
}


def test_parts_of_times(project: Of) -> None:
    parts = (
        "year",
        "quarter",
        "month",
        "day",
        "day_of_year",
        "weekday",
        "hour",
        "minute",
        "second",
    )
    chain = f"[{{date_parts: {{parts: [{', '.join(parts)}]}}}}]"
    run = prepared(project("taxis"), "datetime", chain)
    compared(
        run,
        lambda _, at: np.column_stack([getattr(at.dt, PARTS.get(part, part)) for part in parts]),
    )


def test_cycles_of_times(project: Of) -> None:
    run = prepared(project("taxis"), "datetime", "[{cycles: {parts: [month, weekday, hour]}}]")

    def make(_: str, at: Any) -> Array:
        angles = [2 * np.pi * place(at.dt).to_numpy() for place in CIRCLES.values()]
        return np.column_stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)])

    compared(run, make, 1e-15)


@pytest.mark.parametrize("unit", UNITS)
def test_time_since(project: Of, unit: str) -> None:
    chain = f"[{{since: {{date: '2019-02-14T06:00:00', unit: {unit}}}}}]"
    run = prepared(project("taxis"), "datetime", chain)
    begin, one = pd.Timestamp("2019-02-14T06:00:00"), pd.Timedelta(1, UNITS[unit])
    compared(run, lambda _, at: ((at - begin) / one).to_numpy())


# Derived columns, dropped ones, rows to learn from

DERIVED: dict[str, tuple[str, Callable[[pd.DataFrame], Any]]] = {
    "adult": (
        "{gain: {difference: [capital-gain, capital-loss]}, share: {ratio: [age, hours-per-week]},"
        " both: {product: [age, education-num]}, all: {sum: [age, capital-gain, capital-loss]}}",
        lambda f: {
            "gain": f["capital-gain"] - f["capital-loss"],
            "share": f["age"] / f["hours-per-week"],
            "both": f["age"] * f["education-num"],
            "all": f["age"] + f["capital-gain"] + f["capital-loss"],
        },
    ),
    "taxis": (
        "{minutes: {difference: [dropoff, pickup], unit: minutes},"
        " each: {ratio: [tip, passengers]},"
        " both: {product: [distance, passengers]}, all: {sum: [tip, tolls, total]}}",
        lambda f: {
            "minutes": (f["dropoff"] - f["pickup"]) / pd.Timedelta(1, "min"),
            "each": (f["tip"] / f["passengers"]).where(f["passengers"] != 0),
            "both": f["distance"] * f["passengers"],
            "all": f["tip"] + f["tolls"] + f["total"],
        },
    ),
    "penguins": (
        "{slim: {ratio: [bill_length_mm, bill_depth_mm]},"
        " area: {product: [bill_length_mm, bill_depth_mm]},"
        " less: {difference: [body_mass_g, flipper_length_mm]},"
        " all: {sum: [bill_length_mm, bill_depth_mm, body_mass_g]}}",
        lambda f: {
            "slim": f["bill_length_mm"] / f["bill_depth_mm"],
            "area": f["bill_length_mm"] * f["bill_depth_mm"],
            "less": f["body_mass_g"] - f["flipper_length_mm"],
            "all": f["bill_length_mm"] + f["bill_depth_mm"] + f["body_mass_g"],
        },
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_derived_columns(project: Of, name: str) -> None:
    text, make = DERIVED[name]
    columns = [c for c in project(name).frame if c not in SETS[name].targets.values()]
    words = [f"prepare.derive={text}"]
    words += [f"+prepare.columns.{c}=[drop]" for c in columns]
    targets = [*SETS[name].targets.values()][1:]
    words += [f"+prepare.columns.{c}=[drop]" for c in targets]
    task = next(iter(SETS[name].targets))
    run = project(name).run(task, *words, until="prepare")
    expected = make(run.frame)
    names = [item["name"] for item in run.preparation["features"]]
    assert sorted(names) == sorted(expected)
    for place, derived in enumerate(names):
        values = np.asarray(expected[derived], dtype="float64")
        assert np.array_equal(run.features[:, place], values, equal_nan=True), derived


ROWS: dict[str, tuple[str, Callable[[pd.DataFrame], Any]]] = {
    "adult": (
        """["age > 30", "workclass in ['Private', 'State-gov']"]""",
        lambda f: (f["age"] > 30) & f["workclass"].isin(["Private", "State-gov"]),
    ),
    "taxis": (
        """["distance >= 1.5", "payment is not missing", "pickup < '2019-03-20'"]""",
        lambda f: (f["distance"] >= 1.5) & f["payment"].notna() & (f["pickup"] < "2019-03-20"),
    ),
    "penguins": ("['bill_length_mm < 45']", lambda f: f["bill_length_mm"] < 45),
}


@pytest.mark.parametrize("name", SETS)
def test_rows_to_learn_from(project: Of, name: str) -> None:
    text, meets = ROWS[name]
    run = project(name).run(
        next(iter(SETS[name].targets)),
        f"prepare.rows={text}",
        "prepare.numeric=[{scale: {kind: minmax}}]",
        *("prepare.categorical=[drop]", "prepare.datetime=[drop]"),
        until="prepare",
    )
    train = run.rows("train")
    train = train[meets(run.frame).to_numpy()[train]]
    make = learned(sk.MinMaxScaler())
    compared(run, lambda _, values: make(values.to_numpy("float64"), train))


def test_every_preparation_is_compared() -> None:
    entries = [entry for case in (*NUMERIC, *CATEGORICAL) for entry in yaml.safe_load(str(case[0]))]
    listed = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    others = {"drop", "target_encoding", "date_parts", "cycles", "since"}
    assert {*PREPARATIONS} - listed == others
