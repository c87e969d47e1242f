"""Rules of columns and rows: what breaks them is counted, and fails, is dropped or set missing."""

from __future__ import annotations

import datetime as dt
import json
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.steps import validate
from mlops_compile.steps.columns import Column, pattern_fault
from mlops_compile.steps.rules import broken, codes_of
from mlops_compile.steps.tables import BATCH_ROWS, read_table, write_table
from mlops_compile.steps.twins import later_twins
from tests.strategies import Room

DAY = dt.datetime(2024, 1, 1)
TABLE: dict[str, Any] = {
    "age": pa.array([30, 31, -5, 32, 140, 31], pa.int64()),
    "share": pa.array([0.1, 0.2, None, 0.4, float("inf"), 0.6]),
    "city": pa.array(["Oslo", "Rome", "Rom", "oslo", None, "Oslo"]),
    "since": pa.array([DAY + dt.timedelta(days=n) for n in range(6)], pa.timestamp("us")),
    "member": pa.array([True, None, False, True, False, True]),
    "answer": pa.array(["no", "yes", "no", "yes", "no", "yes"]),
}


@pytest.fixture
def validated(tmp_path: Path):
    """Calls the step: the table's rows, the report and the notes."""

    def run(columns: Any, rows: Any = None, table: dict[str, Any] = TABLE, **data: Any) -> Any:
        write_table(tmp_path / "in", pa.table(table))
        params = {"target": "answer", "task": "binary", "columns": columns, **data}
        names = ("table", "target", "profile", "report")
        inputs = {"table": tmp_path / "in"}
        work = Room(tmp_path).work({"data": {**params, "rows": rows or {}}}, inputs, names)
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            validate.run(work)
        report = json.loads(work.outputs["report"].read_text("utf-8"))
        return read_table(work.outputs["table"]), report, [str(note.message) for note in notes]

    return run


FINITE = {"share": {"violation": "missing"}}
BROKEN = {
    # rule: column, its contract, message
    "nullable": ("city", {"nullable": False}, "1 value is missing: row 5"),
    "low": ("age", {"low": 0.0}, "1 value is below 0: row 3 (-5)"),
    "high": ("age", {"high": 120.0}, "1 value is above 120: row 5 (140)"),
    "low of times": (
        "since",
        {"low": "2024-01-03"},
        "2 values are below 2024-01-03: row 1 (2024-01-01 00:00:00), row 2 (2024-01-02 00:00:00)",
    ),
    "choices": (
        "city",
        {"choices": ["Oslo", "Rome"]},
        "2 values are none of the choices: row 3 ('Rom'), row 4 ('oslo')",
    ),
    "choices of numbers": (
        "age",
        {"choices": [30, 31, 32, 140]},
        "1 value is none of the choices: row 3 (-5)",
    ),
    "choices of flags": (
        "member",
        {"choices": [True]},
        "2 values are none of the choices: row 3 (False), row 5 (False)",
    ),
    "pattern": (
        "city",
        {"pattern": "[A-Z][a-z]+"},
        "1 value does not match the pattern: row 4 ('oslo')",
    ),
    "pattern of alternatives": (
        "city",
        {"pattern": "Oslo|Rom"},  # not Rome, of which it is the beginning
        "2 values do not match the pattern: row 2 ('Rome'), row 4 ('oslo')",
    ),
    "unique": ("age", {"unique": True}, "1 value stands in an earlier row too: row 6 (31)"),
    "unique of texts": (
        "city",
        {"unique": True},
        "1 value stands in an earlier row too: row 6 ('Oslo')",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_fails(validated: Any, name: str) -> None:
    column, contract, message = BROKEN[name]
    with pytest.raises(StepError) as caught:
        validated({**FINITE, column: contract})
    (found,) = caught.value.problems
    assert found.message == message and found.code == "violation"
    assert found.where == ("data", "columns", column, name.partition(" ")[0])
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("name", BROKEN)
def test_a_sensitive_value_is_not_in_the_sentence(validated: Any, name: str) -> None:
    column, contract, message = BROKEN[name]
    with pytest.raises(StepError) as caught:
        validated({**FINITE, column: {**contract, "sensitive": True}})
    assert caught.value.problems[0].message == re.sub(r" \([^)]*\)", "", message)


# Of unique values no two rows of each class are left of these.
@pytest.mark.parametrize("name", [name for name in BROKEN if "unique" not in name])
def test_rows_that_break_a_rule_are_dropped(validated: Any, name: str) -> None:
    column, contract, _ = BROKEN[name]
    table = {**TABLE, "answer": pa.array(["no", "yes"] * 3)}
    table = {key: pa.concat_arrays([values, values]) for key, values in table.items()}
    contract = {**contract, "violation": "drop"}
    rows, report, notes = validated({**FINITE, column: contract}, table=table)
    (rule,) = report["columns"][column]
    counted = report["columns"][column][rule]
    assert counted["violation"] == "drop" and counted["rows"] == 12 - rows.num_rows
    assert report["dropped"] == counted["rows"] and report["rows"] == 12
    assert any(f"data.columns.{column}: " in note and "rows are dropped" in note for note in notes)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "nullable"])
def test_values_that_break_a_rule_are_set_missing(validated: Any, name: str) -> None:
    column, contract, message = BROKEN[name]
    rows, report, notes = validated({**FINITE, column: {**contract, "violation": "missing"}})
    before = TABLE[column].to_pylist()
    after = rows.column(column).to_pylist()
    ((rule, counted),) = report["columns"][column].items()
    voided = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert [after[n] for n in voided] == [None] * counted["rows"]
    assert [n + 1 for n in voided] == counted["first"] and rule == name.partition(" ")[0]
    assert f"data.columns.{column}: {message}; they are set missing" in notes


def test_infinite_values_are_always_a_rule(validated: Any) -> None:
    with pytest.raises(StepError, match="1 value is infinite: row 5"):
        validated({})
    rows, report, _ = validated(FINITE)
    assert rows.column("share").to_pylist() == [0.1, 0.2, None, 0.4, None, 0.6]
    assert report["columns"] == {
        "share": {"finite": {"rows": 1, "first": [5], "violation": "missing"}}
    }


def test_everything_that_is_broken_is_told_at_once(validated: Any) -> None:
    stated = {"age": {"low": 0.0, "high": 120.0}, "city": {"nullable": False, "pattern": "[A-Z].*"}}
    with pytest.raises(StepError) as caught:
        validated(stated, {"low": 10})
    places = [found.where[1:] for found in caught.value.problems]
    assert places == [
        ("columns", "age", "low"),
        ("columns", "age", "high"),
        ("columns", "city", "nullable"),
        ("columns", "city", "pattern"),
        ("columns", "share"),
        ("rows", "low"),
    ]


def test_many_rows_are_counted_and_the_first_are_named(validated: Any) -> None:
    table = {"age": pa.array(range(100)), "answer": pa.array(["no", "yes"] * 50)}
    with pytest.raises(StepError) as caught:
        validated({"age": {"high": 9.0}}, table=table)
    rows = ", ".join(f"row {number} ({number - 1})" for number in range(11, 16))
    assert caught.value.problems[0].message == f"90 values are above 9: {rows}, ..."


def test_a_long_text_is_cut(validated: Any) -> None:
    table = {"note": pa.array(["x" * 200] * 4), "answer": pa.array(["no", "yes"] * 2)}
    with pytest.raises(StepError) as caught:
        validated({"note": {"pattern": "y*"}}, table=table)
    assert "x" * 30 in str(caught.value) and "x" * 50 not in str(caught.value)


def test_duplicates(validated: Any) -> None:
    table = {
        "a": pa.array([1, 1, 2, 1, None, None], pa.int64()),
        "b": pa.array(["x", "x", "x", "x", None, None]),
        "answer": pa.array(["no", "no", "yes", "no", "yes", "yes"]),
    }
    with pytest.raises(StepError, match=r"3 rows \(2, 4, 6\) are equal to an earlier row"):
        validated({}, {"duplicates": "fail"}, table)
    table = {name: pa.concat_arrays([values[:3], values]) for name, values in table.items()}
    table["a"] = pa.array([7, 8, 9, 1, 1, 2, 1, None, None], pa.int64())
    rows, report, _ = validated({}, {"duplicates": "drop"}, table)
    assert rows.column("a").to_pylist() == [7, 8, 9, 1, 2, None]
    assert report["table"]["duplicates"] == {"rows": 3, "first": [5, 7, 9], "violation": "drop"}
    # A column that is ignored tells no rows apart.
    table["c"] = pa.array(range(9))
    assert validated({}, {"duplicates": "drop"}, table)[0].num_rows == 9
    assert validated({"c": {"role": "ignore"}}, {"duplicates": "drop"}, table)[0].num_rows == 6


def test_keys(validated: Any) -> None:
    table = {
        "shop": pa.array(["a", "a", "b", "a", None, None]),
        "day": pa.array([1, 2, 1, 1, 3, 3], pa.int64()),
        "answer": pa.array(["no", "yes"] * 3),
    }
    with pytest.raises(StepError) as caught:
        validated({}, {"keys": [["shop", "day"], ["day"]]}, table)
    assert [found.message for found in caught.value.problems] == [
        "1 row (4) has the 'shop' and 'day' of an earlier row",  # what is missing is not equal
        "3 rows (3, 4, 6) have the 'day' of an earlier row",
    ]
    assert caught.value.problems[1].where == ("data", "rows", "keys", "1")


def test_the_number_of_rows(validated: Any) -> None:
    with pytest.raises(StepError, match="6 rows are left, and at most 5 are allowed"):
        validated(FINITE, {"high": 5})
    drop = {**FINITE, "city": {"choices": ["Oslo", "Rome"], "violation": "drop"}}
    with pytest.raises(StepError, match="4 rows are left, and at least 5 are asked for"):
        validated(drop, {"low": 5})
    with pytest.raises(StepError, match="no row is left of 6"):
        validated({**FINITE, "age": {"low": 1000.0, "violation": "drop"}})


def test_unique_looks_at_rows_that_are_left(validated: Any) -> None:
    """The row that another rule drops does not stand in the way of its twin."""
    table = {
        "id": pa.array([1, 1, 2, 3, 4]),
        "age": pa.array([-1, 1, 1, 1, 1]),
        "answer": pa.array(["no", "yes", "no", "yes", "no"]),
    }
    stated = {"id": {"unique": True}, "age": {"low": 0.0, "violation": "drop"}}
    rows, _, _ = validated(stated, table=table)
    assert rows.column("id").to_pylist() == [1, 2, 3, 4]


def test_the_rules_of_a_target(validated: Any) -> None:
    """Classes that are none of the choices leave; rows without a target are no rows of a rule."""
    table = {
        "age": pa.array([1, 2, -1, 4, 5, 6]),
        "answer": pa.array(["no", "yes", "maybe", "no", "yes", "no"]),
    }
    stated = {"answer": {"choices": ["no", "yes"], "violation": "drop"}, "age": {"low": 0.0}}
    rows, report, _ = validated(stated, table=table)
    assert rows.num_rows == 5 and report["columns"]["answer"]["choices"]["first"] == [3]
    stated["answer"]["violation"] = "missing"
    with pytest.raises(StepError, match=r"missing in 1 row \(3\)"):
        validated(stated, table=table)
    assert validated(stated, table=table, missing_target="drop")[0].num_rows == 5
    numbers = {"age": table["age"], "answer": pa.array([1.0, 2.0, 99.0, 4.0, 5.0, 6.0])}
    stated = {"answer": {"high": 10.0, "violation": "drop"}}
    assert validated(stated, table=numbers, task="regression")[0].num_rows == 5


@pytest.mark.parametrize(
    ("answers", "task", "says"),
    [
        (["a"] * 4, "binary", "one class only, 'a'"),
        (["a", "b", "b", "b"], "binary", "the class 'a' has 1 row"),
        (["a", "b", "c", "c"], "multiclass", "the classes 'a', 'b' have 1 row each"),
        (["a", "b", "c", "d"], "multiclass", "each of the 4 rows has a class of its own"),
        ([5.0] * 4, "regression", "'answer' is always 5: there is nothing to learn"),
    ],
)
def test_targets_that_cannot_be_learned(
    validated: Any, answers: list[Any], task: str, says: str
) -> None:
    table = {"x": pa.array([1, 2, 3, 4]), "answer": pa.array(answers)}
    with pytest.raises(StepError, match=re.escape(says)):
        validated({}, table=table, task=task)


def test_a_class_that_is_gone_with_dropped_rows(validated: Any) -> None:
    table = {
        "x": pa.array([1, 2, 3, 4, 5, 6]),
        "answer": pa.array(["a", "a", "b", "b", "c", "c"]),
    }
    stated = {"x": {"high": 4.0, "violation": "drop"}}
    with pytest.raises(StepError, match="no row of the class 'c' is left once rows are dropped"):
        validated(stated, table=table, task="multiclass")


def test_a_sensitive_target_is_not_told(validated: Any) -> None:
    table = {"x": pa.array([1, 2, 3, 4]), "answer": pa.array([77123.5] * 4)}
    with pytest.raises(StepError) as caught:
        validated({"answer": {"sensitive": True}}, table=table, task="regression")
    assert "always the same" in str(caught.value) and "77123" not in str(caught.value)


def test_a_table_of_many_batches_is_that_of_one(validated: Any, tmp_path: Path) -> None:
    """Rows that leave leave no trace in the bytes: batches are as large as without them."""
    count = BATCH_ROWS * 2 + 100
    draw = np.random.RandomState(1)
    table = {
        "number": pa.array(draw.normal(size=count)),
        "level": pa.array([f"level {n % 20000:05}" for n in range(count)]),
        "few": pa.array([("a", "b", None)[n % 3] for n in range(count)]),
        "answer": pa.array([("no", "yes")[n % 2] for n in range(count)]),
    }
    stated = {"number": {"low": -1.0, "violation": "drop"}}
    rows, _, _ = validated(stated, table=table)
    first = (tmp_path / "table").read_bytes(), (tmp_path / "profile").read_text()
    keep = np.asarray(table["number"]) >= -1
    assert rows.num_rows == keep.sum()
    assert rows.column("level").to_pylist() == [
        level for level, kept in zip(table["level"].to_pylist(), keep, strict=True) if kept
    ]
    part = {name: values.filter(pa.array(keep)) for name, values in table.items()}
    validated({}, table=part)
    assert (tmp_path / "table").read_bytes() == first[0]
    assert (tmp_path / "profile").read_text() == first[1].replace(
        f'"dropped": {count - rows.num_rows}', '"dropped": 0'
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, -0.0, 1.5, None, float("nan")]),
            st.sampled_from(["a", "b", "", None]),
            st.sampled_from([True, False, None]),
        ),
        max_size=30,
    )
)
def test_twins_are_the_rows_that_are_equal(rows: list[tuple[Any, ...]]) -> None:
    types = (pa.float64(), pa.string(), pa.bool_())
    columns = {
        str(n): codes_of(pa.chunked_array([pa.array([row[n] for row in rows], type_)]))
        for n, type_ in enumerate(types)
    }
    found = later_twins(columns, columns.__getitem__, len(rows)).tolist()
    seen: Counter[Any] = Counter()
    expected = []
    for number, row in enumerate(rows):
        same = tuple(None if item != item else item for item in row)
        expected += [number] if seen[same] else []
        seen[same] += 1
    assert found == expected


def test_hashes_that_meet_by_chance_are_no_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_compile.steps.twins.mix", lambda hashes, codes: None)
    codes = {"a": np.array([1, 2, 3], np.int64)}
    assert later_twins(codes, codes.__getitem__, 3).tolist() == []


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "*a", "a{2000}", "a)(b"])
def test_patterns_that_are_none(pattern: str) -> None:
    assert pattern_fault(pattern)


def test_patterns_are_matched_in_linear_time() -> None:
    """What takes a backtracking engine longer than anybody waits."""
    assert pattern_fault("(a+)+") is None
    table = pa.chunked_array([["a" * 50_000 + "b"]])
    (found,) = broken("x", Column(pattern="(a+)+"), table)
    assert found.rows.tolist() == [0]


@pytest.mark.parametrize(
    ("bound", "rows"), [("1970-01-01T00:00:02", [0, 1]), ("1970-01-01T02:00:02+02:00", [0, 1])]
)
def test_a_bound_of_times_is_in_utc_unless_it_says_otherwise(bound: str, rows: list[int]) -> None:
    times = pa.array([0, 1_000_000, 2_000_000, None], pa.timestamp("us", tz="UTC"))
    (found,) = broken("x", Column(low=bound), pa.chunked_array([times]))
    assert found.rows.tolist() == rows
