"""Preparations: each is a plain computation over the training rows, applied to all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn.impute
import sklearn.preprocessing
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import canonical, freeze
from mlops_compile.steps import prepare
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.date_parts import PARTS
from mlops_compile.steps.preparations.kind import SORTS, Feature, Shape, Target
from mlops_compile.steps.tables import read_table, write_table
from tests.strategies import Room

NUMBERS = np.array([3.0, np.nan, -1.5, 3.0, 8.0, np.nan, 100.25, 7.0])
FLAGS = np.array([1.0, 0.0, np.nan, 1.0, 1.0, 0.0, np.nan, 0.0])
LEVELS = ["red", None, "blue", "red", "green", "blue", "unseen", None]
TIMES = ["2024-02-29T23:59:58", None, "1999-12-31T00:00:00", "2024-03-01T12:30:00", None]
TRAIN = np.array([0, 1, 2, 3, 4, 5])


def feature(values: Any, sort: Any) -> Feature:
    if sort == "categorical":
        categories = sorted({value for value in values if value is not None})
        values = pd.Categorical(values, categories=pd.Index(categories, dtype=object))
    if sort == "datetime":
        values = np.array(values, dtype="datetime64[us]")
    return Feature(name="c", sort=sort, values=values)


def part(whole: Feature, rows: Any) -> Feature:
    return Feature(name=whole.name, sort=whole.sort, values=whole.values[rows])


def fitted(name: str, options: Any, whole: Feature) -> Any:
    """What is learned of all rows; the target, where it is asked for, tells odd rows from even."""
    preparation = PREPARATIONS[name]
    spec = from_value(preparation.spec, freeze(options))
    if preparation.cross_fit is None:
        return preparation.fit(spec, whole)
    values = np.arange(len(whole.values)) % 2
    return preparation.cross_fit(spec, whole, Target(values=values, classes=("a", "b"), seed=1))[0]


def applied(name: str, options: Any, whole: Feature, train: Any = TRAIN) -> dict[str, Any]:
    """Fitted on the training rows and applied to all: values by feature name."""
    preparation = PREPARATIONS[name]
    state = fitted(name, options, part(whole, train))
    made = preparation.apply(state, whole)
    assert tuple(f.name for f in made) == preparation.outputs(whole.name, state)
    assert canonical(state)
    return {f.name: f.values for f in made}


def equal(left: Any, right: Any) -> bool:
    left, right = pd.Series(np.asarray(left)), pd.Series(np.asarray(right))
    return bool(((left == right) | (left.isna() & right.isna())).all())


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_impute_is_scikit_learns(strategy: str) -> None:
    reference = sklearn.impute.SimpleImputer(strategy=strategy)
    reference.fit(NUMBERS[TRAIN].reshape(-1, 1))
    expected = reference.transform(NUMBERS.reshape(-1, 1))[:, 0]
    assert equal(
        applied("impute", {"strategy": strategy}, feature(NUMBERS, "numeric"))["c"], expected
    )


def test_impute_a_constant_and_an_indicator() -> None:
    made = applied(
        "impute",
        {"strategy": "constant", "value": -7, "indicator": True},
        feature(NUMBERS, "numeric"),
    )
    assert equal(made["c"], np.where(np.isnan(NUMBERS), -7.0, NUMBERS))
    assert equal(made["c:missing"], np.isnan(NUMBERS).astype(float))


@pytest.mark.parametrize(
    ("options", "fill"),
    [({"strategy": "most_frequent"}, "blue"), ({"strategy": "constant", "value": "none"}, "none")],
)
def test_impute_texts(options: Any, fill: str) -> None:
    made = applied("impute", options, feature(LEVELS, "categorical"))["c"]
    assert list(made) == [fill if level is None else level for level in LEVELS]


@pytest.mark.parametrize(
    ("options", "values", "sort"),
    [
        ({"strategy": "mean"}, np.full(8, np.nan), "numeric"),
        ({"strategy": "most_frequent"}, [None] * 8, "categorical"),
    ],
    ids=str,
)
def test_impute_from_nothing_is_a_sentence(options: Any, values: Any, sort: str) -> None:
    with pytest.raises(StepError) as caught:
        applied("impute", options, feature(values, sort))
    assert caught.value.problems[0].where == ("data", "columns", "c")


def test_the_usual_value_of_texts_is_the_most_frequent() -> None:
    assert list(applied("impute", {}, feature(LEVELS, "categorical"))["c"])[1] == "blue"


@pytest.mark.parametrize(
    ("name", "options", "sort", "option"),
    [
        ("impute", {"strategy": "constant"}, "numeric", "strategy"),
        ("impute", {"strategy": "constant", "value": "x"}, "numeric", "value"),
        ("impute", {"strategy": "constant", "value": "x"}, "boolean", "value"),
        ("impute", {"strategy": "constant", "value": 5}, "categorical", "value"),
        ("impute", {"strategy": "mean"}, "categorical", "strategy"),
        ("impute", {"strategy": "median", "value": 5}, "numeric", "value"),
        ("ordinal", {"order": ["a", "b", "a"]}, "categorical", "order"),
        ("date_parts", {"parts": []}, "datetime", "parts"),
        ("date_parts", {"parts": ["day", "day"]}, "datetime", "parts"),
        ("impute", {"strategy": "constant", "value": 5}, "numeric", None),
        ("impute", {"strategy": "constant", "value": "x"}, "categorical", None),
        ("impute", {"strategy": "mean"}, "boolean", None),
        ("ordinal", {"order": ["b", "a"]}, "categorical", None),
        ("date_parts", {"parts": ["day", "year"]}, "datetime", None),
        ("scale", {}, "numeric", None),
        ("scale", {"kind": "robust", "feature_range": [0, 2]}, "numeric", "feature_range"),
        ("scale", {"kind": "robust", "quantile_range": [75, 25]}, "numeric", "quantile_range"),
        ("scale", {"kind": "minmax", "feature_range": [1]}, "numeric", "feature_range"),
        ("scale", {"output": "normal"}, "numeric", "output"),
        ("scale", {"kind": "quantile", "output": "normal"}, "numeric", None),
        ("bins", {"edges": [1, 2]}, "numeric", "edges"),
        ("bins", {"kind": "edges"}, "numeric", "kind"),
        ("bins", {"kind": "edges", "edges": [2, 1]}, "numeric", "edges"),
        ("bins", {"kind": "edges", "edges": [1, 2]}, "numeric", None),
        ("clip", {}, "numeric", "low"),
        ("clip", {"low": 2, "high": 1}, "numeric", "high"),
        ("clip", {"low": 2, "quantiles": [0.1, 0.9]}, "numeric", "quantiles"),
        ("clip", {"quantiles": [0.9]}, "numeric", "quantiles"),
        ("clip", {"quantiles": [0.9, 0.1]}, "numeric", "quantiles"),
        ("clip", {"low": 0}, "numeric", None),
        ("cycles", {"parts": []}, "datetime", "parts"),
        ("since", {"date": "soon"}, "datetime", "date"),
        ("since", {"date": "2020-01-01T00:00:00Z"}, "datetime", None),
        ("is_in", {"values": []}, "numeric", "values"),
        ("is_in", {"values": ["a"]}, "numeric", "values"),
        ("is_in", {"values": [1.0]}, "categorical", "values"),
        ("is_in", {"values": ["a", "a"]}, "categorical", "values"),
    ],
    ids=str,
)
def test_options_that_cannot_be_done_to_a_sort(
    name: str, options: Any, sort: Any, option: str | None
) -> None:
    preparation = PREPARATIONS[name]
    value: Any = freeze(options)
    unfit = preparation.unfit(from_value(preparation.spec, value), sort)
    assert (unfit.option if unfit else None) == option


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_scale_is_scikit_learns(values: list[float]) -> None:
    numbers = np.array(values)
    train = np.arange(0, len(numbers), 2)
    found = applied("scale", {}, feature(numbers, "numeric"), train)["c"]
    scaler = sklearn.preprocessing.StandardScaler().fit(numbers[train].reshape(-1, 1))
    if scaler.var_[0] < 1e-9 * max(1.0, float(np.max(np.abs(numbers[train]))) ** 2):
        return  # scikit-learn takes a deviation that is all rounding for none
    expected = scaler.transform(numbers.reshape(-1, 1))[:, 0]
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_scale_by_hand() -> None:
    known = NUMBERS[TRAIN][~np.isnan(NUMBERS[TRAIN])]
    expected = (NUMBERS - np.mean(known)) / np.std(known)
    assert equal(applied("scale", {}, feature(NUMBERS, "numeric"))["c"], expected)


def test_scale_leaves_a_constant_column_its_size() -> None:
    assert equal(applied("scale", {}, feature(np.full(8, 5.0), "numeric"))["c"], np.zeros(8))
    with pytest.raises(StepError, match="nothing to scale"):
        applied("scale", {}, feature(np.full(8, np.nan), "numeric"))


def column(values: Any, missing: Any = np.nan) -> Any:
    return np.array([missing if v is None else v for v in values], dtype=object).reshape(-1, 1)


def test_one_hot_is_scikit_learns() -> None:
    encoder = sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    known = column([LEVELS[row] for row in TRAIN if LEVELS[row] is not None])
    expected = encoder.fit(known).transform(column(LEVELS, "missing"))
    made = applied("one_hot", {}, feature(LEVELS, "categorical"))
    assert list(made) == [f"c={level}" for level in encoder.categories_[0]]
    assert np.array_equal(np.column_stack(list(made.values())), expected)


@pytest.mark.parametrize("name", ["ordinal", "category"])
def test_positions_are_scikit_learns(name: str) -> None:
    encoder = sklearn.preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan
    )
    known = column([LEVELS[row] for row in TRAIN if LEVELS[row] is not None])
    expected = encoder.fit(known).transform(column(LEVELS, "missing"))[:, 0]
    assert equal(applied(name, {}, feature(LEVELS, "categorical"))["c"], expected)


def test_a_stated_order() -> None:
    order = {"order": ["red", "unseen", "blue"]}
    made = applied("ordinal", order, feature(LEVELS, "categorical"))["c"]
    assert equal(made, [0, np.nan, 2, 0, np.nan, 2, 1, np.nan])


@pytest.mark.parametrize(("name", "count"), [("one_hot", 2), ("category", 2)])
def test_rare_levels_are_as_if_unseen(name: str, count: int) -> None:
    whole = feature(LEVELS, "categorical")
    made = applied(name, {"min_count": count}, whole)
    without = feature([None if level == "green" else level for level in LEVELS], "categorical")
    again = applied(name, {}, without)
    assert list(made) == list(again)
    assert all(equal(made[key], again[key]) for key in made)


def test_date_parts_are_pythons() -> None:
    import datetime

    parts = list(PARTS)
    made = applied("date_parts", {"parts": parts}, feature(TIMES, "datetime"), np.array([0, 1]))
    for row, text in enumerate(TIMES):
        found = {part: float(made[f"c:{part}"][row]) for part in parts}
        if text is None:
            assert all(np.isnan(value) for value in found.values())
            continue
        time = datetime.datetime.fromisoformat(text)
        assert found == {
            **{part: getattr(time, part) for part in ("year", "month", "day", "hour")},
            "minute": time.minute,
            "second": time.second,
            "quarter": (time.month + 2) // 3,
            "day_of_year": time.timetuple().tm_yday,
            "weekday": time.weekday(),
        }


VALUES = {"numeric": NUMBERS, "boolean": FLAGS, "categorical": LEVELS, "datetime": TIMES}
OPTIONS: dict[str, list[Any]] = {
    "impute": [{"strategy": "most_frequent"}, {"strategy": "most_frequent", "indicator": True}],
    "ordinal": [{}, {"order": ["red"]}],
    "one_hot": [{}, {"min_count": 2}],
    "category": [{}],
    "scale": [{}, *({"kind": kind} for kind in ("robust", "minmax", "quantile"))],
    "bins": [{}, {"result": "category"}],
    "clip": [{"low": 0.0}, {"quantiles": [0.1, 0.9]}],
    "cycles": [{}],
    "drop": [{}],
    "frequency": [{}, {"of": "count"}],
    "group_rare": [{"max_levels": 1}],
    "hashed": [{}],
    "is_in": [{"values": [3.0]}],
    "log": [{"outside": "missing"}, {"outside": "clip"}],
    "since": [{"date": "2020-01-01"}],
    "target_encoding": [{"folds": 2}],
    "text_length": [{}, {"of": "words"}],
    "date_parts": [{}, {"parts": ["hour"]}],
}
EVERY = [
    (name, options, sort)
    for name, preparation in PREPARATIONS.items()
    for options in OPTIONS[name]
    for sort in preparation.accepts
    if sort != "code" and not (name == "is_in" and sort == "categorical")
]


@pytest.mark.parametrize(("name", "options", "sort"), EVERY, ids=str)
def test_the_compiler_knows_what_comes_out(name: str, options: Any, sort: Any) -> None:
    preparation = PREPARATIONS[name]
    spec = from_value(preparation.spec, freeze(options))
    whole = feature(VALUES[sort], sort)
    made = preparation.apply(fitted(name, options, part(whole, TRAIN[:4])), whole)
    shapes = preparation.shapes(spec, Shape(sort=sort, missing=True))
    if len(shapes) != len(made):  # one shape for as many features as there are levels
        assert name == "one_hot" and len(shapes) == 1
        shapes = shapes * len(made)
    for shape, item in zip(shapes, made, strict=True):
        assert shape.sort == item.sort
        assert item.sort in SORTS and len(item.values) == len(whole.values)
        if not shape.missing:
            assert not pd.isna(pd.Series(item.values)).any()


@pytest.mark.parametrize(("name", "options", "sort"), EVERY, ids=str)
def test_only_training_rows_are_learned_from(name: str, options: Any, sort: Any) -> None:
    """Other values outside of the training rows change nothing inside of them."""
    train = np.array([0, 2, 3, 5] if name == "target_encoding" else [0, 2, 3])
    outside = np.setdiff1d(np.arange(len(VALUES[sort])), train)
    other = list(VALUES[sort])
    for row in outside:
        other[row] = {"categorical": "zzz", "datetime": "2030-01-01T00:00:00"}.get(sort, 0.0)
    if sort in ("numeric", "boolean"):
        other = np.array(other)
    one = applied(name, options, feature(VALUES[sort], sort), train)
    two = applied(name, options, feature(other, sort), train)
    assert list(one) == list(two)
    for key in one:
        assert equal(pd.Series(one[key]).iloc[train], pd.Series(two[key]).iloc[train])


# The step


def run(
    room: Path, columns: dict[str, tuple[str, Any]], chains: Any, train: Any
) -> tuple[Any, Any]:
    """The prepare step over a validated table: its features and its states."""
    arrays, fields = [], []
    for name, (sort, values) in columns.items():
        if sort == "categorical":
            array = pa.array(values, pa.string()).dictionary_encode()
        elif sort == "datetime":
            array = pa.array(np.array(values, dtype="datetime64[us]"))
        elif sort == "boolean":
            array = pa.array(values, pa.bool_())
        else:
            array = pa.array(values, pa.float64(), from_pandas=True)
        role, _, sort = sort.rpartition(":")
        arrays.append(array)
        fields.append(
            pa.field(name, array.type, metadata={"role": role or "feature", "sort": sort})
        )
    inputs = {"table": room / "table", "train": room / "train.npy"}
    write_table(inputs["table"], pa.table(arrays, schema=pa.schema(fields)))
    np.save(inputs["train"], np.asarray(train))
    work = Room(room).work({"prepare": chains}, inputs, ("features", "preparation"))
    prepare.run(work)
    return (
        read_table(work.outputs["features"]),
        prepare.read_preparation(work.outputs["preparation"]),
    )


def test_the_step_applies_each_columns_chain(tmp_path: Path) -> None:
    columns = {
        "age": ("numeric", [1.0, None, 3.0, 5.0]),
        "color": ("categorical", ["red", None, "blue", "green"]),
        "flag": ("boolean", [True, None, False, True]),
        "key": ("id:numeric", [1.0, 2.0, 3.0, 4.0]),
        "size": ("categorical", ["s", "m", "l", "s"]),
    }
    chains = {
        "numeric": [{"impute": {"strategy": "mean"}}, {"scale": {}}],
        "categorical": [{"one_hot": {}}],
        "boolean": [],
        "columns": {"size": [{"ordinal": {"order": ["s", "m", "l"]}}, {"impute": {}}]},
    }
    table, states = run(tmp_path, columns, chains, [0, 1, 2])
    names = [feature["name"] for feature in states["features"]]
    assert names == ["age", "color=blue", "color=red", "flag", "size"]
    assert table.column_names == [f"f{n}" for n in range(5)]
    found = {name: table.column(n).to_pylist() for n, name in enumerate(names)}
    deviation = float(np.std([1.0, 2.0, 3.0]))
    assert found["age"] == [-1 / deviation, 0.0, 1 / deviation, 3 / deviation]
    assert found["color=red"] == [1.0, 0.0, 0.0, 0.0]
    assert equal(found["flag"], [1.0, np.nan, 0.0, 1.0])
    assert found["size"] == [0.0, 1.0, 2.0, 0.0]


def test_the_same_outcome_is_the_same_bytes(tmp_path: Path) -> None:
    columns = {"color": ("categorical", ["red", "red", "blue", "blue"])}
    made = []
    for count in (1, 2):
        room = tmp_path / str(count)
        room.mkdir()
        run(room, columns, {"categorical": [{"category": {"min_count": count}}]}, [0, 1, 2, 3])
        made.append([(room / name).read_bytes() for name in ("features", "preparation")])
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("columns", "chains", "message"),
    [
        ({"a": ("categorical", ["x", "y"])}, {"categorical": []}, "not turned into numbers"),
        ({"a": ("categorical", ["x", "y"])}, {"categorical": [{"scale": {}}]}, "cannot take"),
        ({"a": ("ignore:numeric", [1.0, 2.0])}, {}, "no column is left"),
        (
            {"a": ("categorical", [None, "y"])},
            {"categorical": [{"one_hot": {}}]},
            "no column is left",
        ),
    ],
    ids=str,
)
def test_columns_that_do_not_become_features_are_a_sentence(
    tmp_path: Path, columns: Any, chains: Any, message: str
) -> None:
    with pytest.raises(StepError, match=message):
        run(tmp_path, columns, chains, [0])


def test_a_matrix_of_some_rows(tmp_path: Path) -> None:
    table, _ = run(tmp_path, {"a": ("numeric", [1.0, None, 3.0])}, {"numeric": []}, [0])
    assert table.num_rows == 3
    whole = prepare.read_matrix(tmp_path / "features")
    assert np.array_equal(whole, [[1.0], [np.nan], [3.0]], equal_nan=True)
    assert prepare.read_matrix(tmp_path / "features", np.array([2, 0])).tolist() == [[3.0], [1.0]]
