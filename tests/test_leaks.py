"""Leaks that can be seen are told, and what is none is not."""

from __future__ import annotations

import datetime
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlops_compile.steps import leaks, validate
from mlops_compile.steps.tables import write_table
from tests.project import good, make
from tests.strategies import Room

ROWS = 600
DRAW = np.random.RandomState(2)
NOISE = DRAW.normal(size=ROWS)
CLASSES = DRAW.choice(["no", "yes", "yes"], ROWS)
YES = CLASSES == "yes"
NUMBERS = DRAW.normal(100, 10, ROWS)


@pytest.fixture
def inspected(tmp_path: Path):
    """The findings of columns (by sort and columns) and the notes, after validating."""

    def run(
        columns: dict[str, Any], answers: Any = CLASSES, split: str = "random", **stated: Any
    ) -> list[tuple[str, list[str]]]:
        is_number = np.asarray(answers).dtype.kind == "f"
        table = {name: pa.array(values) for name, values in columns.items()}
        write_table(tmp_path / "in", pa.table({**table, "y": pa.array(answers)}))
        task = "regression" if is_number else "binary"
        data = {"target": "y", "task": task, "columns": stated}
        names = ("table", "target", "profile", "report")
        work = Room(tmp_path).work({"data": data}, {"table": tmp_path / "in"}, names)
        validate.run(work)
        order = np.random.RandomState(1).permutation(len(answers))
        if split == "time":
            order = np.arange(len(answers))[::-1]
        cut = len(answers) // 4
        np.save(tmp_path / "test.npy", np.sort(order[:cut]))
        np.save(tmp_path / "train.npy", np.sort(order[cut:]))
        inputs = {name: tmp_path / name for name in ("table", "target")}
        inputs |= {name: tmp_path / f"{name}.npy" for name in ("train", "test")}
        work = Room(tmp_path).work({"data": {"target": "y"}}, inputs, ("findings",))
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            leaks.run(work)
        found = json.loads(work.outputs["findings"].read_text())["findings"]
        assert [item["message"] for item in found] == [str(note.message) for note in notes]
        return [(item["sort"], item["columns"]) for item in found]

    return run


def test_a_table_without_leaks(inspected: Any) -> None:
    columns = {
        "noise": NOISE,
        "level": DRAW.choice(list("abc"), ROWS),
        "rare": np.where(YES & (NOISE > 1), "only yes", "both"),
        "count": DRAW.randint(0, 500, ROWS),
        "flag": NOISE > 0,
    }
    assert inspected(columns) == []
    other = DRAW.normal(scale=3, size=ROWS)
    assert inspected({**columns, "strong": NUMBERS + other}, NUMBERS) == []


@pytest.mark.parametrize(
    "column",
    [
        np.where(YES, "paid", "open"),
        np.where(YES, DRAW.choice(["a", "b"], ROWS), DRAW.choice(["c", "d"], ROWS)),
        YES,
        YES.astype("int64") * 7,
        np.where(YES, 5.0, np.nan),  # missing is a value, too
        np.where(YES, 10 + np.abs(NOISE), -np.abs(NOISE)),  # a threshold
    ],
    ids=["level", "levels", "flag", "number", "missing", "threshold"],
)
def test_a_column_that_gives_the_class_away(inspected: Any, column: Any) -> None:
    values = pa.array(column, from_pandas=True)
    assert inspected({"noise": NOISE, "leak": values}) == [("determines", ["leak"])]
    assert inspected({"noise": NOISE, "leak": values}, leak={"role": "segment"}) == []


@pytest.mark.parametrize(
    "column",
    [NUMBERS, NUMBERS * -3 + 7, np.where(NOISE > -2, NUMBERS * 2, np.nan)],
    ids=["same", "linear", "missing in some rows"],
)
def test_a_column_that_gives_the_number_away(inspected: Any, column: Any) -> None:
    values = pa.array(column, from_pandas=True)
    assert inspected({"noise": NOISE, "leak": values}, NUMBERS) == [("determines", ["leak"])]


@pytest.mark.parametrize(
    ("column", "is_told"),
    [
        (pa.nulls(ROWS, pa.float64()), True),
        (pa.nulls(ROWS, pa.string()), True),
        ([np.nan] * ROWS, True),
        (["x"] * ROWS, True),
        ([3] * ROWS, True),
        ([False] * ROWS, True),
        ([datetime.datetime(2024, 1, 31)] * ROWS, True),
        (["x"] * (ROWS - 1) + [None], False),
        ([3.0] * (ROWS - 1) + [np.nan], False),
        ([3] * (ROWS - 1) + [4], False),
    ],
    ids=range(10),
)
def test_a_feature_that_tells_nothing(inspected: Any, column: Any, is_told: bool) -> None:
    found = inspected({"noise": NOISE, "x": column})
    assert found == ([("nothing", ["x"])] if is_told else [])
    assert inspected({"noise": NOISE, "x": column}, x={"role": "ignore"}) == []


def test_columns_that_give_the_number_away_together(inspected: Any) -> None:
    """A fare, a tip and a toll are the total; what has no part in it is not named."""
    fare, tip = NUMBERS, np.abs(NOISE) * 5
    tolls = DRAW.choice([0.0, 6.0], ROWS)
    total = fare + tip + tolls
    columns = {"fare": fare, "tip": tip, "tolls": tolls, "noise": DRAW.normal(size=ROWS)}
    assert inspected(columns, total) == [("sum", ["fare", "tip", "tolls"])]


def test_few_rows_of_a_class_say_nothing(inspected: Any) -> None:
    """A rare class whose few rows have levels of their own, by chance."""
    answers = np.array(["no"] * (ROWS - 2) + ["yes"] * 2)
    level = np.array([f"l{n % 50}" for n in range(ROWS - 2)] + ["x", "y"])
    assert inspected({"noise": NOISE, "level": level}, answers) == []


@pytest.mark.parametrize(
    ("column", "is_id"),
    [
        ([f"customer {n}" for n in range(ROWS)], True),
        (DRAW.permutation(ROWS) + 1000, True),
        ([f"customer {n // 2}" for n in range(ROWS)], False),
        (DRAW.randint(0, ROWS, ROWS), False),
        (DRAW.permutation(ROWS * 3)[:ROWS], False),
    ],
    ids=["texts", "counting", "twice", "random", "sparse"],
)
def test_ids_among_the_features(inspected: Any, column: Any, is_id: bool) -> None:
    found = inspected({"noise": NOISE, "id": column})
    assert found == ([("id", ["id"])] if is_id else [])
    assert inspected({"noise": NOISE, "id": column}, id={"role": "id"}) == []


def test_rows_that_stand_in_both_parts(inspected: Any) -> None:
    columns = {"noise": np.repeat(NOISE[: ROWS // 2], 2)}
    answers = np.repeat(CLASSES[: ROWS // 2], 2)
    assert inspected(columns, answers) == [("both", [])]
    other = np.tile(["no", "yes"], ROWS // 2)  # the answers differ
    assert inspected(columns, other) == []


def test_time_that_goes_backwards(inspected: Any) -> None:
    when = pa.array(np.arange(ROWS) * 86_400_000_000, pa.timestamp("us"))
    columns = {"noise": NOISE, "when": when}
    assert inspected(columns, when={"role": "time"}) == [("time", ["when"])]
    assert inspected(columns, split="time", when={"role": "time"}) == []
    assert inspected(columns) == []  # a date may be of birth: the role says that it is the time
    years = {"noise": NOISE, "when": np.arange(ROWS) // 50}
    assert inspected(years, when={"role": "time"}) == [("time", ["when"])]


def test_the_findings_are_the_same_for_many_rows(
    inspected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look at some rows spares work, and changes nothing that is found."""
    leak = np.where(YES, "paid", "open")
    columns = {"leak": leak, "sum": NUMBERS * 2, "noise": NOISE}
    wide = inspected(columns), inspected(columns, NUMBERS)
    monkeypatch.setattr(leaks, "_SOME", 100)
    assert (inspected(columns), inspected(columns, NUMBERS)) == wide
    almost = leak.copy()
    almost[np.flatnonzero(YES)[-1]] = "open"  # one row that some rows need not show
    assert inspected({"leak": almost, "noise": NOISE}) == []


def test_a_run_tells_it_and_goes_on(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    text = (project / "rows.csv").read_text().splitlines()
    text[0] += ",paid"
    text[1:] = [f"{line},{line.endswith('yes')}" for line in text[1:]]
    (project / "rows.csv").write_text("\n".join(text) + "\n")
    answer = good(project, "run", "model.params.num_iterations=5")
    assert "inspect: 'paid' gives 'target' away" in answer.err + answer.out
