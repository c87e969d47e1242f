"""Combining: joins find what pandas' merge and merge_asof find, and refuse keys that repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.compiler.verify import verify
from mlops_compile.ir.lock import decode, encode
from mlops_compile.ir.problem import StepError
from mlops_compile.steps.columns import MARK
from mlops_compile.steps.combine import run
from mlops_compile.steps.tables import read_table, write_table
from mlops_compile.store.store import Store
from tests.strategies import Room


def combined(
    root: Path, left: pa.Table, joins: dict[str, Any], others: dict[str, pa.Table]
) -> pa.Table:
    """What the step makes of these tables."""
    inputs = {}
    for name, table in {"table": left, **others}.items():
        inputs[name] = root / f"{name}.arrow"
        write_table(inputs[name], table)
    work = Room(root / "out").work({"data": {"join": joins}}, inputs, ["table"])
    run(work)
    return read_table(work.outputs["table"])


keys = st.none() | st.integers(0, 4)
names = st.none() | st.sampled_from(["a", "b", ""])


@st.composite
def lefts(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.lists(st.tuples(keys, names), min_size=1, max_size=12))
    return pa.table(
        {
            "k": pa.array([k for k, _ in rows], pa.int64()),
            "n": pa.array([n for _, n in rows], pa.string()),
            "row": pa.array(range(len(rows))),
        }
    )


@st.composite
def rights(draw: st.DrawFn, unique: bool) -> pa.Table:
    rows = draw(
        st.lists(
            st.tuples(keys, names),
            max_size=12,
            unique_by=(lambda r: r) if unique else lambda r: id(r),
        )
    )
    return pa.table(
        {
            "k": pa.array([None if k is None else float(k) for k, _ in rows], pa.float64()),
            "name": pa.array([n for _, n in rows], pa.string()),
            "value": pa.array(range(100, 100 + len(rows))),
        }
    )


def merged(left: pa.Table, right: pa.Table, how: str) -> list[tuple[Any, ...]]:
    """The rows that SQL would give, by plain loops: a missing key equals nothing."""
    found = []
    for row in left.to_pylist():
        same = [
            other["value"]
            for other in right.to_pylist()
            if None not in (row["k"], row["n"])
            and (other["k"], other["name"]) == (row["k"], row["n"])
        ]
        found += [(row["row"], value) for value in same or ([None] if how == "left" else [])]
    return found


JOIN = {"left": ["k", "n"], "right": ["k", "name"]}


@settings(max_examples=60, deadline=None)
@given(lefts(), rights(True), st.sampled_from(["left", "inner"]))
def test_many_to_one(tmp_path_factory: Any, left: pa.Table, right: pa.Table, how: str) -> None:
    table = combined(
        tmp_path_factory.mktemp("c"), left, {"other": {**JOIN, "how": how}}, {"other": right}
    )
    assert list(zip(table["row"].to_pylist(), table["value"].to_pylist(), strict=True)) == merged(
        left, right, how
    )


@settings(max_examples=60, deadline=None)
@given(rights(False), st.sampled_from(["left", "inner"]), st.integers(1, 3))
def test_one_to_many(tmp_path_factory: Any, right: pa.Table, how: str, count: int) -> None:
    left = pa.table(
        {
            "k": pa.array(range(count)),
            "n": pa.array(["a", "b", None][:count]),
            "row": pa.array(range(count)),
        }
    )
    joins = {"other": {**JOIN, "how": how, "cardinality": "one_to_many"}}
    table = combined(tmp_path_factory.mktemp("c"), left, joins, {"other": right})
    assert list(zip(table["row"].to_pylist(), table["value"].to_pylist(), strict=True)) == merged(
        left, right, how
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 20), st.sampled_from("ab")), min_size=1, max_size=9
    ),
    st.lists(st.tuples(st.none() | st.integers(0, 20), st.sampled_from("ab")), max_size=9),
    st.sampled_from(["backward", "forward", "nearest"]),
    st.booleans(),
    st.none() | st.integers(0, 5),
)
def test_as_of(
    tmp_path_factory: Any,
    ours: list[tuple[int | None, str]],
    theirs: list[tuple[int | None, str]],
    direction: str,
    exact: bool,
    tolerance: int | None,
) -> None:
    """The nearest in the stated direction, among equal keys, by plain loops over days."""
    day = 86_400_000_000

    def times(rows: list[tuple[int | None, str]]) -> pa.Array:
        stamps = [None if t is None else t * day for t, _ in rows]
        return pa.array(stamps, pa.timestamp("us"))

    left = pa.table({"t": times(ours), "k": [k for _, k in ours]})
    right = pa.table(
        {
            "at": times(theirs),
            "k": pa.array([k for _, k in theirs], pa.string()),
            "value": pa.array(range(len(theirs)), pa.int64()),
        }
    )
    as_of: dict[str, Any] = {"left": "t", "right": "at", "direction": direction, "exact": exact}
    if tolerance is not None:
        as_of["tolerance"] = f"{tolerance}d"
    joins = {"other": {"left": ["k"], "as_of": as_of}}
    table = combined(tmp_path_factory.mktemp("c"), left, joins, {"other": right})
    for (time, k), value in zip(ours, table["value"].to_pylist(), strict=True):
        distances = {}
        for place, (other, k2) in enumerate(theirs):
            if time is None or other is None or k != k2:
                continue
            away = time - other if direction != "forward" else other - time
            away = abs(away) if direction == "nearest" else away
            if (
                away < 0
                or (away == 0 and not exact)
                or (tolerance is not None and away > tolerance)
            ):
                continue
            distances[place] = away
        if value is None:
            assert not distances
        else:
            assert distances[value] == min(distances.values())


def test_a_test_source_stands_below_and_is_marked(tmp_path: Path) -> None:
    left = pa.table({"k": pa.array([1, 2]), "x": pa.array([1, 2])})
    test = pa.table({"x": pa.array([0.5]), "k": pa.array([2])})
    right = pa.table({"k": pa.array([2]), "y": pa.array(["two"])})
    table = combined(tmp_path, left, {"other": {"left": ["k"]}}, {"other": right, "test": test})
    assert table.to_pydict() == {
        "k": [1, 2, 2],
        "x": [1.0, 2.0, 0.5],
        MARK: [False, False, True],
        "y": [None, "two", "two"],
    }


def test_joins_can_match_by_what_earlier_ones_brought(tmp_path: Path) -> None:
    left = pa.table({"k": pa.array([3, 1, 3])})
    first = pa.table({"k": pa.array([1, 3]), "m": pa.array(["one", "three"])})
    second = pa.table({"m": pa.array(["three"]), "z": pa.array([9.5])})
    table = combined(
        tmp_path,
        left,
        {"first": {"left": ["k"]}, "second": {"left": ["m"], "prefix": "s_"}},
        {"first": first, "second": second},
    )
    assert table.to_pydict() == {
        "k": [3, 1, 3],
        "m": ["three", "one", "three"],
        "s_z": [9.5, None, 9.5],
    }


@pytest.mark.parametrize(
    ("cardinality", "owner"), [("many_to_one", "the source other"), ("one_to_one", "the data")]
)
def test_keys_that_repeat_are_refused(tmp_path: Path, cardinality: str, owner: str) -> None:
    left = pa.table({"k": pa.array([1, 1, 2])})
    right = pa.table({"k": pa.array([2, 2, 1] if cardinality == "many_to_one" else [1, 2, 3])})
    right = right.append_column("y", pa.array([1, 2, 3]))
    joins = {"other": {"left": ["k"], "cardinality": cardinality}}
    with pytest.raises(StepError) as caught:
        combined(tmp_path, left, joins, {"other": right})
    (found,) = caught.value.problems
    assert f"1 key of {owner} (k) stands in more than one row" in found.message
    assert "rows 1, 2" in found.message


def test_large_whole_numbers_match_floats_that_are_exactly_they(tmp_path: Path) -> None:
    left = pa.table({"k": pa.array([2**53, 2**53 + 1, 2**62, 0, None])})
    right = pa.table({"k": pa.array([2.0**53, 2.0**62, -0.0, 0.5, 2.0**80]), "y": range(5)})
    table = combined(tmp_path, left, {"other": {"left": ["k"]}}, {"other": right})
    assert table["y"].to_pylist() == [0, None, 1, 2, None]


def test_the_result_does_not_depend_on_how_the_inputs_are_cut(tmp_path: Path) -> None:
    left = pa.table({"k": pa.array(range(200_000))})
    right = pa.table({"k": pa.array(range(0, 200_000, 3)), "y": pa.array(range(66_667))})
    table = combined(tmp_path, left, {"other": {"left": ["k"]}}, {"other": right})
    expected = pd.merge(left.to_pandas(), right.to_pandas(), on="k", how="left")
    assert table["y"].to_pylist() == [
        None if pd.isna(value) else int(value) for value in expected["y"]
    ]


# Through the compiler


ORDERS = "customer,day,price,late\n" + "".join(
    f"{n % 7},2024-01-{n % 28 + 1:02},{n % 5 + 0.5},{'yes' if n % 7 > 3 else 'no'}\n"
    for n in range(120)
)
CUSTOMERS = "id,city,age\n" + "".join(f"{n},{'ab'[n % 2]},{20 + n}\n" for n in range(6))
WEATHER = "day,rain\n" + "".join(f"2024-01-{n:02},{n % 3}\n" for n in range(1, 29, 3))
DATA = (
    *("data=csv", "data.name=orders", "data.source.path=orders.csv", "data.target=late"),
    *("data.task=binary", "data.split.kind=stratified", "model.params.num_iterations=3"),
    "+data.join={customers: {source: {kind: csv, path: customers.csv}, left: [customer],"
    " right: [id]}, weather: {source: {kind: csv, path: weather.csv}, as_of: {left: day,"
    " tolerance: 2d}}}",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"orders": ORDERS, "customers": CUSTOMERS, "weather": WEATHER}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def refused(project: Path, *overrides: str) -> list[tuple[str, str, str]]:
    with pytest.raises(mc.CompileError) as caught:
        mc.compile(overrides, project=project)
    return [(p.code, ".".join(p.where), p.message) for p in caught.value.problems]


def test_joined_columns_are_features_and_their_sources_are_locked(project: Path) -> None:
    lock = mc.compile(DATA, project=project)
    assert [name for name, _ in lock.sources] == ["customers", "data", "weather"]
    assert {field.name: field.text for field in lock.contract.request} == {
        "age": "numeric?",
        "city": "categorical?",
        "customer": "numeric",
        "day": "datetime",
        "price": "numeric",
        "rain": "numeric?",
    }
    verify(decode(encode(lock)))
    record = mc.run(lock, project=project)
    assert record.ok and {result.status for result in record.results} == {"ran"}
    again = mc.run(DATA, project=project)
    assert {result.status for result in again.results} == {"hit"}
    table = read_table(
        Store(project / ".mlops" / "store").blobs.place(record["combine"].output("table").sha256)
    )
    assert table.num_rows == 120
    assert table["age"].to_pylist()[:8] == [20, 21, 22, 23, 24, 25, None, 20]


def test_a_change_of_one_source_runs_what_reads_it(project: Path) -> None:
    mc.run(DATA, project=project)
    (project / "weather.csv").write_text(WEATHER.replace("01,1", "01,5"))
    record = mc.run(DATA, project=project)
    ran = {result.step for result in record.results if result.status == "ran"}
    assert {"acquire/weather", "combine"} <= ran
    assert not ran & {"acquire", "acquire/customers"}


def test_what_does_not_fit_is_told_at_its_key(project: Path) -> None:
    found = refused(
        project,
        *DATA,
        "data.join.customers.left=[custmer]",
        "data.join.customers.right=[id]",
        "data.join.weather.as_of.tolerance=2 weeks",
        "+data.join.data={source: {kind: csv, path: x.csv}, left: [customer]}",
    )
    assert {(code, where) for code, where, _ in found} >= {
        ("wrong-type", "data.join.weather.as_of.tolerance"),
        ("impossible", "data.join.data"),
    }
    found = refused(
        project, *DATA, "data.join.customers.left=[custmer]", "data.join.weather.as_of.left=city"
    )
    assert ("no-column", "data.join.customers.left") in {(c, w) for c, w, _ in found}
    found = refused(project, *DATA, "data.join.customers.source.path=nothing.csv")
    assert [(c, w) for c, w, _ in found] == [("no-file", "data.join.customers.source.path")]
    (project / "customers.csv").write_text("id,city\n1,a,b\n")
    found = refused(project, *DATA)
    assert [(c, w) for c, w, _ in found] == [("ragged-row", "data.join.customers.source.path")]


def test_a_name_that_is_there_already_is_refused(project: Path) -> None:
    (project / "customers.csv").write_text(CUSTOMERS.replace("age", "price"))
    ((code, where, message),) = refused(project, *DATA)
    assert (code, where) == ("columns", "data.join.customers")
    assert "'price'" in message
    assert mc.compile([*DATA, "+data.join.customers.prefix=customer_"], project=project)
