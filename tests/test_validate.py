"""Validating: a table becomes what the config says of it, or a sentence says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlops_compile.ir.problem import StepError
from mlops_compile.steps import validate
from mlops_compile.steps.tables import read_table, write_table
from tests.strategies import Room

COLUMNS: dict[str, Any] = {
    "number": pa.array([1, 2, None, 4], pa.int64()),
    "share": pa.array([0.5, None, 1.5, 2.5]),
    "flag": pa.array([True, False, None, True]),
    "color": pa.array(["red", None, "blue", "red"]),
    "when": pa.array([0, 1, None, 3], pa.timestamp("us")),
    "answer": pa.array(["no", "yes", "yes", "no"]),
}


def run(room: Path, table: dict[str, Any] = COLUMNS, **data: Any) -> tuple[Any, Any, Any]:
    """The table, the target and the profile."""
    write_table(room / "in", pa.table(table))
    names = ("table", "target", "profile", "report")
    params = {"data": {"target": "answer", "task": "binary", **data}}
    work = Room(room).work(params, {"table": room / "in"}, names)
    validate.run(work)
    profile = json.loads(work.outputs["profile"].read_text("utf-8"))
    target = read_table(work.outputs["target"]).column("target").combine_chunks()
    return read_table(work.outputs["table"]), target, profile


def test_columns_become_their_sort_in_order_of_their_names(tmp_path: Path) -> None:
    table, target, _ = run(tmp_path)
    assert table.column_names == ["color", "flag", "number", "share", "when"]
    sorts = {field.name: field.metadata[b"sort"].decode() for field in table.schema}
    assert sorts == {
        "color": "categorical",
        "flag": "boolean",
        "number": "numeric",
        "share": "numeric",
        "when": "datetime",
    }
    assert table.column("number").to_pylist() == [1.0, 2.0, None, 4.0]
    assert table.column("color").to_pylist() == ["red", None, "blue", "red"]
    assert table.column("color").combine_chunks().dictionary.to_pylist() == ["blue", "red"]
    assert target.to_pylist() == ["no", "yes", "yes", "no"]
    assert target.dictionary.to_pylist() == ["no", "yes"]


def test_roles_are_kept_and_ignored_columns_are_not(tmp_path: Path) -> None:
    stated = {"number": {"role": "id"}, "when": {"role": "time"}, "flag": {"role": "ignore"}}
    table, _, profile = run(tmp_path, columns=stated)
    roles = {field.name: field.metadata[b"role"].decode() for field in table.schema}
    assert roles == {"color": "feature", "number": "id", "share": "feature", "when": "time"}
    assert set(profile["columns"]) == set(roles)


def test_the_positive_class_is_last(tmp_path: Path) -> None:
    _, target, _ = run(tmp_path, positive="no")
    assert target.dictionary.to_pylist() == ["yes", "no"]
    assert target.indices.to_pylist() == [1, 0, 0, 1]


def test_numbers_and_flags_can_be_classes(tmp_path: Path) -> None:
    values = {**COLUMNS, "answer": pa.array([10, 9, 10, 9], pa.int64())}
    _, target, _ = run(tmp_path, values)
    assert target.to_pylist() == ["10", "9", "10", "9"]
    _, target, _ = run(tmp_path, {**COLUMNS, "answer": pa.array([True, False, False, True])})
    assert target.dictionary.to_pylist() == ["false", "true"]


def test_a_target_of_numbers(tmp_path: Path) -> None:
    values = {**COLUMNS, "answer": pa.array([10, 9, 10, 9], pa.int64())}
    _, target, _ = run(tmp_path, values, task="regression")
    assert target.to_pylist() == [10.0, 9.0, 10.0, 9.0] and target.type == pa.float64()


def test_rows_without_a_target_fail_or_are_dropped(tmp_path: Path) -> None:
    answers = ["no", None, "yes", None, "no", "yes"]
    values = {"number": pa.array([1, 2, None, 4, 5, 6]), "answer": pa.array(answers)}
    with pytest.raises(StepError, match=r"missing in 2 rows \(2, 4\)"):
        run(tmp_path, values)
    table, target, profile = run(tmp_path, values, missing_target="drop")
    assert target.to_pylist() == ["no", "yes", "no", "yes"]
    assert table.column("number").to_pylist() == [1.0, None, 5.0, 6.0]
    assert (profile["rows"], profile["dropped"]) == (4, 2)


def test_the_profile_counts_what_is_there(tmp_path: Path) -> None:
    _, _, profile = run(tmp_path)
    assert (profile["rows"], profile["dropped"]) == (4, 0)
    columns = profile["columns"]
    assert columns["color"] == {
        "type": "categorical", "missing": 1, "levels": 2, "top": {"blue": 1, "red": 2},
    }  # fmt: skip
    assert columns["flag"] == {"type": "boolean", "missing": 1, "true": 2, "false": 1}
    assert columns["share"] == {
        "type": "numeric", "missing": 1, "distinct": 3, "low": 0.5, "high": 2.5, "mean": 1.5,
        "deviation": pytest.approx((2 / 3) ** 0.5),
        "quantiles": [0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 2.5],
        "bins": {"edges": [0.5, 1.5], "rows": [1, 1, 1]},
    }  # fmt: skip
    assert columns["when"] == {
        "type": "datetime", "missing": 1, "distinct": 3,
        "low": "1970-01-01T00:00:00", "high": "1970-01-01T00:00:00.000003",
        "bins": {
            "edges": ["1970-01-01T00:00:00", "1970-01-01T00:00:00.000001"], "rows": [1, 1, 1],
        },
    }  # fmt: skip
    assert profile["target"] == {"type": "classes", "rows": {"no": 2, "yes": 2}}


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinite_values_are_a_sentence(tmp_path: Path, value: float) -> None:
    with pytest.raises(StepError, match="1 value is infinite: row 3") as caught:
        run(tmp_path, {**COLUMNS, "share": pa.array([0.5, None, value, 1.0])})
    assert caught.value.problems[0].where == ("data", "columns", "share")
    values = {**COLUMNS, "answer": pa.array([0.5, 1.0, value, 1.0])}
    with pytest.raises(StepError, match="1 value is infinite: row 3"):
        run(tmp_path, values, task="regression")


def test_a_column_without_a_value_is_a_column(tmp_path: Path) -> None:
    empty = {"share": pa.nulls(4, pa.float64()), "color": pa.nulls(4, pa.string())}
    table, _, profile = run(tmp_path, {**COLUMNS, **empty})
    assert table.column("share").null_count == table.column("color").null_count == 4
    assert profile["columns"]["color"]["levels"] == 0


def test_rows_are_named_as_they_stand_in_the_data(tmp_path: Path) -> None:
    table = {
        "share": pa.array([0.5, float("inf"), 1.5, float("-inf")]),
        "answer": pa.array(["no", None, "yes", "no"]),
    }
    with pytest.raises(StepError, match="infinite: row 4"):
        run(tmp_path, table, missing_target="drop")
    with pytest.raises(StepError, match="2 values are infinite: row 2, row 4"):
        run(tmp_path, table, target="share", task="regression")
