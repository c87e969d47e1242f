"""Every preparation, with any options and values: its generated code gives the bits of `apply`."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import freeze
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.preparations.cycles import _CIRCLES
from mlops_compile.steps.preparations.date_parts import PARTS
from mlops_compile.steps.preparations.kind import Target
from tests.row_by_row import check

HOSTILE = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e308, -1e308, 1.7976931348623157e308, 0.1, 1e16]
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from(HOSTILE),
    st.integers(-3, 30).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEVELS = st.one_of(
    st.none(),
    st.sampled_from(["a", "b", "c d", "'", '"', "\\", "\n", "é", "{{ 7*7 }}", "()", "{}"]),
)
TIMES = st.one_of(
    st.none(),
    st.datetimes(),
    st.sampled_from([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "numeric": NUMBERS,
    "boolean": st.one_of(st.none(), st.sampled_from([0.0, 1.0])),
    "categorical": LEVELS,
    "datetime": TIMES,
}
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)
NUMERIC = st.floats(-1e3, 1e3)
ENDS = st.lists(NUMERIC, min_size=2, max_size=2, unique=True).map(sorted)


def some(**options: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=options)


def some_parts(known: Any) -> st.SearchStrategy[Any]:
    return some(parts=st.lists(st.sampled_from(sorted(known)), min_size=1, unique=True))


LEVEL = st.sampled_from(["a", "b", "é", "zz"])
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "bins": st.one_of(
        some(
            kind=st.sampled_from(["quantile", "uniform"]),
            bins=st.integers(2, 9),
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("edges"),
                "edges": st.lists(NUMERIC, min_size=1, max_size=5, unique=True).map(sorted),
            }
        ),
    ),
    "category": some(min_count=st.integers(1, 3)),
    "clip": st.one_of(
        ENDS.map(lambda ends: {"low": ends[0], "high": ends[1]}),
        NUMERIC.map(lambda end: {"low": end}),
        NUMERIC.map(lambda end: {"high": end}),
        SHARES.map(lambda ends: {"quantiles": ends}),
    ),
    "cycles": some_parts(_CIRCLES),
    "date_parts": some_parts(PARTS),
    "drop": st.just({}),
    "frequency": some(of=st.sampled_from(["share", "count"])),
    "group_rare": some(
        min_count=st.integers(1, 3),
        min_share=st.floats(0, 1),
        max_levels=st.integers(1, 4),
        level=LEVEL,
    ),
    "hashed": some(buckets=st.integers(2, 50)),
    "impute": some(strategy=st.sampled_from(["most_frequent"]), indicator=st.booleans()),
    "is_in": st.just({}),
    "log": some(
        kind=st.sampled_from(["log1p", "log"]),
        offset=NUMERIC,
        outside=st.sampled_from(["fail", "missing", "clip"]),
    ),
    "one_hot": some(
        min_count=st.integers(1, 3),
        max_levels=st.integers(1, 4),
        drop=st.sampled_from(["none", "first", "if_binary"]),
    ),
    "ordinal": some(order=st.lists(LEVEL, unique=True)),
    "scale": st.one_of(
        st.just({}),
        st.lists(st.floats(0, 100), min_size=2, max_size=2, unique=True).map(
            lambda ends: {"kind": "robust", "quantile_range": sorted(ends)}
        ),
        ENDS.map(lambda ends: {"kind": "minmax", "feature_range": ends}),
        some(n_quantiles=st.integers(2, 50), output=st.sampled_from(["uniform", "normal"])).map(
            lambda more: {"kind": "quantile", **more}
        ),
    ),
    "since": some(unit=st.sampled_from(["days", "hours", "minutes", "seconds"])).map(
        lambda more: {"date": "2020-02-29T12:00:01", **more}
    ),
    "target_encoding": some(smooth=st.floats(0, 100), folds=st.integers(2, 4)),
    "text_length": some(of=st.sampled_from(["characters", "words"])),
}
AFTER = {  # what turns into numbers what a preparation leaves as texts or times
    "categorical": [{"frequency": {}}],
    "datetime": [{"date_parts": {}}],
}
EVERY = [(name, sort) for name, p in PREPARATIONS.items() for sort in p.accepts if sort != "code"]


def test_every_preparation_is_tried() -> None:
    assert set(OPTIONS) == set(PREPARATIONS)


@pytest.mark.parametrize(("name", "sort"), EVERY)
@settings(max_examples=25)
@given(data=st.data())
def test_code_gives_the_bits_of_apply(name: str, sort: Any, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[sort], min_size=1, max_size=25))
    options = data.draw(OPTIONS[name])
    if name == "is_in":
        listed = VALUES[sort].filter(lambda value: value is not None)
        options = {"values": data.draw(st.lists(listed, min_size=1, max_size=4, unique=True))}
    preparation = PREPARATIONS[name]
    spec = from_value(preparation.spec, freeze(options))
    assert preparation.unfit(spec, sort) is None
    target = None
    if preparation.cross_fit is not None:
        target = data.draw(targets(len(values)))
    made = preparation.shapes(spec, _shape(sort))
    after = AFTER.get(made[0].sort, []) if made else []
    try:
        check([{name: options}, *after], sort, values, target)
    except StepError as error:  # what cannot be learned is a sentence
        assert all(found.message and found.hint for found in error.problems)


def _shape(sort: Any) -> Any:
    from mlops_compile.steps.preparations.kind import Shape

    return Shape(sort=sort, missing=True)


@st.composite
def targets(draw: st.DrawFn, rows: int) -> Target:
    classes = draw(st.sampled_from([(), ("no", "yes"), ("a", "b", "c")]))
    if classes:
        values = np.array([n % len(classes) for n in range(rows)], dtype="int64")
    else:
        values = np.array(draw(st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows)))
    return Target(values=values, classes=classes, seed=7)


@pytest.mark.parametrize(
    ("chain", "sort"),
    [
        ([{"clip": {"low": 0}}, {"log": {}}, {"impute": {}}, {"scale": {}}], "numeric"),
        ([{"bins": {"result": "category"}}, {"one_hot": {}}], "numeric"),
        ([{"bins": {"kind": "uniform", "result": "category"}}, {"category": {}}], "numeric"),
        ([{"impute": {"indicator": True}}, {"scale": {"kind": "robust"}}], "numeric"),
        ([{"group_rare": {"max_levels": 2}}, {"one_hot": {"drop": "first"}}], "categorical"),
        ([{"hashed": {"buckets": 3}}, {"one_hot": {}}], "categorical"),
        ([{"is_in": {"values": ["a", "é"]}}, {"impute": {}}], "categorical"),
        ([{"one_hot": {}}, {"scale": {"kind": "minmax"}}], "categorical"),
        ([{"cycles": {}}, {"impute": {}}], "datetime"),
        ([{"since": {"date": "2020-01-01"}}, {"scale": {"kind": "quantile"}}], "datetime"),
    ],
    ids=str,
)
@settings(max_examples=20)
@given(data=st.data())
def test_chains(chain: list[Any], sort: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[sort], min_size=1, max_size=25))
    if any(value is not None for value in values):
        try:
            check(chain, sort, values)
        except StepError as error:
            assert all(found.message for found in error.problems)


def test_no_value_is_infinite_without_a_sentence() -> None:
    with pytest.raises(StepError, match=r"becomes infinite|no finite number"):
        check([{"scale": {}}], "numeric", [1e308, -1e308, math.nextafter(1e308, 0)])
