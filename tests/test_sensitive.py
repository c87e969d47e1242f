"""Values of sensitive columns appear nowhere but in stored tables and in what a model knows."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import traceback
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from mlops_compile.ir.problem import CompileError
from mlops_compile.steps import acquire, validate
from mlops_compile.steps.tables import read_table, write_table
from tests.project import Answer, make, mlops
from tests.strategies import Room, pinned

CANARY = "Zanzibar-canary"
NUMBER = "8675309.25"
DATE = "1907-06-05"
STATED = """
columns:
  name: {sensitive: true}
  salary: {sensitive: true}
  born: {sensitive: true, role: time}
"""
# Where the values may be: the snapshot of the file and the tables made of it, which the store has;
# the levels that an encoder looks up, in the fitted preparation and in its code; and the model.
ENCODED = (b'"stages"', b"LEVELS_", b"class Scorer")
MODEL = (b"feature_infos=",)


def rows(count: int = 200) -> str:
    """A table in which the canaries are the most frequent values and the extremes."""
    draw = random.Random(5)
    lines = ["name,salary,born,age,target"]
    for number in range(count):
        name = CANARY if number % 2 else f"{CANARY}-{number % 7}"
        salary = NUMBER if number % 3 else "12"
        age = draw.randint(18, 80)
        target = "yes" if age + draw.gauss(0, 20) > 50 else "no"
        lines.append(f"{name},{salary},{DATE},{age},{target}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    found = make(tmp_path / "project")
    (found / "rows.csv").write_text(rows())
    with (found / "conf" / "data" / "shop.yaml").open("a") as file:
        file.write(STATED)
    return found


def _hold(data: bytes) -> bool:
    """Whether bytes hold a canary, as text or as the number that it is."""
    forms = (CANARY.encode(), NUMBER.encode(), DATE.encode(), struct.pack("<d", float(NUMBER)))
    return any(form in data for form in forms)


def _leaking(place: Path) -> Iterator[Path]:
    for file in sorted(place.rglob("*")):
        if file.is_file() and file.name != "rows.csv" and _hold(file.read_bytes()):
            yield file


def _may(file: Path) -> bool:
    """Whether a file is one of those that may hold the values."""
    data = file.read_bytes()
    is_table = data.startswith(b"ARROW1") or data == rows().encode()
    is_encoder = any(mark in data for mark in ENCODED) and NUMBER.encode() not in data
    return is_table or is_encoder or (MODEL[0] in data and CANARY.encode() not in data)


def _quiet(answer: Answer) -> Answer:
    assert not _hold((answer.out + answer.err).encode()), answer.out + answer.err
    return answer


@pytest.mark.parametrize("chain", ["one_hot", "category"])
def test_a_run_and_its_bundle(project: Path, chain: str) -> None:
    words = (
        *("model.params.num_iterations=5", f"prepare.categorical=[{chain}]"),
        "prepare.numeric=[]",
    )
    _quiet(mlops(project, "compile", *words))
    answer = _quiet(mlops(project, "run", "--json", *words))
    assert answer.code == 0, answer.err
    bundle = project / "bundle"
    answer = _quiet(
        mlops(project, "bundle", answer.document["bundle"]["digest"], "-o", str(bundle))
    )
    assert answer.code == 0, answer.err
    leaking = list(_leaking(project))
    assert leaking and all(map(_may, leaking)), [file for file in leaking if not _may(file)]
    inside = {file.name for file in leaking if bundle in file.parents}
    assert inside <= {"scorer.py"}


def test_the_example_says_nothing_and_can_be_sent(project: Path) -> None:
    answer = mlops(project, "run", "--json", "model.params.num_iterations=5")
    bundle = project / "bundle"
    mlops(project, "bundle", answer.document["bundle"]["digest"], "-o", str(bundle))
    example = json.loads((bundle / "example.json").read_text())
    assert example["name"] == "" and example["salary"] == 0.0 and isinstance(example["age"], float)


BREAKS = {
    "pattern": ("name: {sensitive: true, pattern: 'x+'}", 5),
    "choices": ("name: {sensitive: true, choices: [a]}", 5),
    "unique": ("name: {sensitive: true, unique: true}", 5),
    "high": ("salary: {sensitive: true, high: 100}", 5),
    "low of times": ("born: {sensitive: true, role: time, low: '2020-01-01'}", 5),
    "type": ("name: {sensitive: true, type: numeric}", 3),
    "segment": ("name: {sensitive: true, role: segment}", 3),
}


@pytest.mark.parametrize(
    ("name", "violation"),
    [*((name, "fail") for name in BREAKS), ("pattern", "missing"), ("low of times", "missing")],
)
def test_sentences_and_notes(project: Path, name: str, violation: str) -> None:
    line, code = BREAKS[name]
    column = line.partition(":")[0]
    file = project / "conf" / "data" / "shop.yaml"
    text = file.read_text()
    old = next(old for old in text.splitlines() if old.startswith(f"  {column}: "))
    line = line.replace("}", f", violation: {violation}}}")
    file.write_text(text.replace(old, f"  {line}"))
    answer = _quiet(mlops(project, "run", "model.params.num_iterations=5"))
    assert answer.code == (code if violation == "fail" or code == 3 else 0), answer.err
    assert f"data.columns.{column}" in answer.err
    assert all(map(_may, _leaking(project)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            (
                "data.split={kind: column, column: name, parts: {x: train, y: test}}",
                "~data.split.test_size",
            ),
            "'name' holds other values, which data.split.parts does not name",
        ),
        (
            ("+evaluate.cross_validation={kind: column, column: name, folds: 2}",),
            "'name' holds 8 values, not 2",
        ),
    ],
)
def test_rows_that_have_no_place(project: Path, words: tuple[str, ...], says: str) -> None:
    answer = mlops(project, "run", "data.columns.name.role=group", *words)
    assert answer.code == 5 and says in answer.err
    _quiet(answer)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("prepare.columns={salary: [{log: {offset: -100}}]}",),
            r"\d+ training rows have a value without a logarithm\.\.\.\n",
        ),
        (
            ("data.target=salary", "data.task=regression", "data.split.kind=random",
             "data.positive=null", "model.params.objective=gamma", "data.columns.salary.low=-20"),
            r"'gamma' needs targets above 0, and \d+ of \d+ are not",
        ),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_taken(project: Path, words: tuple[str, ...], says: str) -> None:
    """Neither a preparation nor a family tells the least of them."""
    text = (project / "rows.csv").read_text().replace(",12,", ",-17.5,")
    (project / "rows.csv").write_text(text)
    answer = mlops(project, "run", *words)
    assert answer.code == 5 and re.search(says, answer.err), answer.err
    assert "17.5" not in answer.err + answer.out


BAD_ROWS = {
    "ragged": f"{CANARY},{NUMBER}\n",
    "quote": f'"{CANARY},{NUMBER},{DATE},3,no\n',
    "longer": f"{CANARY},{NUMBER},{DATE},3,no,4,5\n",
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_file_that_cannot_be_read(project: Path, name: str) -> None:
    (project / "rows.csv").write_text(rows() + BAD_ROWS[name])
    answer = _quiet(mlops(project, "compile"))
    assert answer.code == 3 and "rows.csv" in answer.err


def test_a_text_among_numbers(project: Path) -> None:
    """Its line is told, and the column; in a file of test rows too."""
    text = rows() + f"anna,{CANARY},{DATE},3,no\n"
    (project / "rows.csv").write_text(text)
    answer = _quiet(mlops(project, "compile"))
    assert answer.code == 3
    assert "data.columns.salary: rows.csv, line 202: ... is not a number" in answer.err
    (project / "test.csv").write_text(text)
    (project / "rows.csv").write_text(rows())
    answer = _quiet(mlops(project, "compile", "data.test={kind: csv, path: test.csv}"))
    assert answer.code == 3 and "(test.csv, line 202: ... is not a number)" in answer.err


def test_a_cell_that_changed_its_type(tmp_path: Path) -> None:
    """A lock that says another type than the file has: the cell is named, not shown."""
    source = pinned(location="rows.csv", name="int64", target="string").source
    file = tmp_path / "rows.csv"
    file.write_text(f"name,target\n1,a\n{CANARY},b\n")
    params = {"data": {"source": {"kind": "csv", "options": {}}}}
    work = Room(tmp_path / "room").work(params, {}, ("table",), source=source, snapshot=file)
    with pytest.raises(CompileError) as caught:
        acquire.run(work)
    assert "line 3: ... is not a whole number" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_classes_cannot_be_sensitive(project: Path) -> None:
    answer = _quiet(mlops(project, "compile", "data.target=name", "data.task=multiclass"))
    assert answer.code == 3 and "data.columns.name.sensitive" in answer.err


def test_numbers_that_are_predicted_can_be(project: Path) -> None:
    words = ("data.target=salary", "data.task=regression", "model.params.num_iterations=5")
    words += ("evaluate.allow_worse_than_baseline=true", "evaluate.segments=[age]")
    answer = _quiet(mlops(project, "run", "--json", *words))
    assert answer.code == 0, answer.err
    directory = project / answer.document["directory"]
    evaluation = json.loads((directory / "evaluation.json").read_text())
    assert "target" not in evaluation["rows"]["test"]
    assert all("target" not in level for level in evaluation["segments"]["age"]["levels"].values())
    card = (directory / "bundle" / "CARD.md").read_text()
    assert "\n| part | rows |\n| --- | ---: |\n| train[^rows] | " in card
    for text in (json.dumps(evaluation), card):
        assert not re.search(r"8\.?675309|8\.6753e", text)


def test_what_init_says_and_writes(project: Path, tmp_path: Path) -> None:
    """It looks at a file before anything can be marked: it shows the target's classes alone."""
    place = tmp_path / "new"
    shutil.copy(project / "rows.csv", tmp_path / "rows.csv")
    answer = mlops(tmp_path, "init", str(place), "--data", "rows.csv", "--target", "target")
    assert answer.code == 0 and not _hold((answer.out + answer.err).encode())
    assert not list(_leaking(place))
    one = tmp_path / "one.csv"
    one.write_text(f"{CANARY},3\n{CANARY},4\n")
    for words in (("--columns", "a"), ()):
        answer = _quiet(
            mlops(tmp_path, "init", "other", "--data", "one.csv", "--target", "b", *words)
        )
        assert answer.code == 3


def test_a_table_says_which_columns_are_sensitive(tmp_path: Path) -> None:
    """By which later steps know it."""
    table = {"name": pa.array(["a", "b"] * 2), "target": pa.array(["x", "x", "y", "y"])}
    write_table(tmp_path / "in", pa.table(table))
    data = {"target": "target", "task": "binary", "columns": {"name": {"sensitive": True}}}
    names = ("table", "target", "profile", "report")
    work = Room(tmp_path).work({"data": data}, {"table": tmp_path / "in"}, names)
    validate.run(work)
    field = read_table(tmp_path / "table").schema.field("name")
    assert field.metadata[b"sensitive"] == b"true"
