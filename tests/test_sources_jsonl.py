"""JSON lines: every value is kept as it is, or refused with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.steps.sources import jsonl
from mlops_compile.steps.sources.jsonl import KIND, JsonlOptions, JsonlSource
from mlops_compile.steps.sources.kind import Facts
from mlops_compile.steps.tables import read_table


def load(
    path: Path, types: Any = None, target: str = "", **options: Any
) -> tuple[Facts, dict[str, Any]]:
    spec = JsonlSource(kind="jsonl", path=path.name, options=JsonlOptions(**options))
    facts = KIND.scan((path,), spec, types or {}, target)
    source = Source(
        kind="jsonl", location=path.name, digest=digest_of(b""), rows=facts.rows,
        columns=facts.columns,
    )  # fmt: skip
    KIND.read((path,), spec, source, path.parent / "out.arrow")
    return facts, read_table(path.parent / "out.arrow").to_pydict()


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "t.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(folder: Path, text: str | bytes, **options: Any) -> Problem:
    with pytest.raises(CompileError) as caught:
        load(write(folder, text), **options)
    (problem,) = caught.value.problems
    assert "\n" not in problem.message
    return problem


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("1 2 -3", "int64"),
        ("1 2.5", "float64"),
        ("1 1e3", "float64"),
        ("true false", "bool"),
        ("true null", "bool?"),
        ("null null", "float64?"),
        ('"x" "y"', "string"),
        ('"1" "2"', "int64"),
        ('"NA" 2', "int64?"),
        ("NaN 2", "int64?"),
        ('"2024-01-31" "2023-12-01"', "timestamp"),
        ('"2024-01-31T12:00:00Z" null', "timestamp_utc?"),
        ("9223372036854775808 1.5", "float64"),
    ],
)
def test_types(tmp_path: Path, values: str, expected: str) -> None:
    text = "".join(f'{{"a": {value}, "b": 1}}\n' for value in values.split())
    facts, _ = load(write(tmp_path, text))
    assert [column.text for column in facts.columns] == [expected, "int64"]


def test_missing_keys_are_missing(tmp_path: Path) -> None:
    text = '\ufeff{"b": 1}\n\n{"a": "x", "b": 2}\n{"c": true, "b": 3}\n{"b": 4}'
    facts, table = load(write(tmp_path, text), target="a")
    assert table == {
        "a": [None, "x", None, None],
        "b": [1, 2, 3, 4],
        "c": [None, None, True, None],
    }
    assert [column.text for column in facts.columns] == ["string?", "int64", "bool?"]
    assert facts.levels == ("x",)


def test_a_key_of_a_later_batch_is_missing_before_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(jsonl, "_ROWS", 2)
    text = "".join(f'{{"a": {n}}}\n' for n in range(5)) + '{"b": "x"}\n'
    facts, table = load(write(tmp_path, text))
    assert table == {"a": [*range(5), None], "b": [None] * 5 + ["x"]}
    assert [column.missing for column in facts.columns] == [True, True]


def test_marks_and_left_out_keys(tmp_path: Path) -> None:
    text = '{"a": "?", "b": "-1", "c": {"x": 1}}\n{"a": "-1", "b": "2", "c": []}\n'
    _, table = load(
        write(tmp_path, text), missing=("?",), missing_in={"b": ("-1",)}, exclude=("c",)
    )
    assert table == {"a": [None, -1], "b": [None, 2]}


def test_packed_files(tmp_path: Path) -> None:
    data = b'{"a": 1}\n' * 9
    plain = load(write(tmp_path, data))
    assert load(write(tmp_path, gzip.compress(data))) == plain
    zst = pa.compress(data, codec="zstd", asbytes=True)
    assert load(write(tmp_path, zst)) == plain


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"a": 1}\n{"a": 1, "a": 2}\n', "columns", "line 2: the key 'a' stands twice"),
        ('{"a": 1}\n\n{"a": {"x": 1}}\n', "nested", "line 3: 'a' holds an object"),
        ('{"a": [1]}\n', "nested", "line 1: 'a' holds a list"),
        ('{"a": 1}\n{"a": 1\n', "jsonl", "line 2: is no JSON"),
        ('{"a": 1}\n3\n', "jsonl", "line 2: is a number, not an object"),
        ('[{"a": 1},\n{"a": 2}]\n', "jsonl", "line 1: is no JSON"),
        ("[]\n", "jsonl", "line 1: is a list, not an object"),
        ('{"a": 1}\n{"a": true}\n', "mixed-types", "a number on line 1 and a boolean on line 2"),
        ('{"a": 1}\n{"a": "x"}\n', "mixed-types", "a number on line 1 and a text on line 2"),
        ('{"a": 1}\n{"a": 9223372036854775808}\n', "too-long", "line 2: 9223372036854775808 is"),
        ("", "empty", "no line"),
        ("{}\n", "empty", "no object has a key"),
        ('{"": 1}\n', "columns", "a key is empty"),
        ('{"a": "\\ud800"}\n', "encoding", "line 1: the text of 'a' holds half of a character"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "encoding", "line 2: byte 8 is not utf-8"),
        ('{"a": ' + "[" * 99_999 + "\n", "nested", "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused(tmp_path: Path, text: Any, code: str, said: str) -> None:
    problem = refused(tmp_path, text)
    assert problem.code == code and said in problem.message


def test_mixed_values_can_be_read_as_texts(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1.50}\n{"a": true}\n{"a": 123456789012345678901}\n')
    assert load(path, {"a": "string"})[1] == {"a": ["1.50", "true", "123456789012345678901"]}


def test_marks_of_no_column_are_refused(tmp_path: Path) -> None:
    problem = refused(tmp_path, json.dumps({"age": 1}), missing_in={"aeg": ("x",)})
    assert problem.code == "no-column" and "age" in problem.hint


def test_texts_that_stand_for_others(tmp_path: Path) -> None:
    """They are of no sort of their own, so that they may stand among others."""
    text = '{"a": 1, "b": "yes."}\n{"a": " one", "b": "no"}\n{"a": "two", "b": "NA"}\n'
    replace = Map({"a": Map({"one": "1", "two": "NA"}), "b": Map({"yes.": "yes", "NA": "x"})})
    assert load(write(tmp_path, text), replace=replace)[1] == {
        "a": [1, 1, None],
        "b": ["yes", "no", "x"],
    }


def test_a_key_that_is_left_out_and_not_there_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"age": 1, "notes": []})
    problem = refused(tmp_path, text, exclude=("notes", "nots"))
    assert problem.code == "no-column" and problem.where[-2:] == ("exclude", "1")
    assert problem.message == "the data has no column 'nots'"
    assert problem.hint == "did you mean 'notes'?"
    assert load(write(tmp_path, text), exclude=("notes",))[1] == {"age": [1]}
