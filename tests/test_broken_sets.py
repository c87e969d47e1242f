"""Broken copies of three data sets: each trap gets its sentence, and changes nothing.

The texts stand in tests/broken/; UPDATE_GOLDEN=1 writes them. They are the same for generated rows
and, with MLOPS_DATA set, for the real ones. Each trap is once among the quick tests.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.project import Answer, mlops, stored
from tests.sets import REAL, SETS, Set, Table

PLACE = Path(__file__).parent / "broken"
NAMES = (
    "class",
    "None",
    "a b",
    "a.b",
    "..",
    "../../etc",
    "a/b",
    "{{ 7*7 }}",
    "it's",
    "größe",
    "年齢",
)
LINE = 7  # of the file, on which something is broken
_HELD = re.compile(r"^## (.+?)\n\n```text\n(.*?)^```$", re.M | re.S)

Break = Callable[[Set, Path], tuple[str, ...]]


def _on_line(cells: Callable[[Set], list[str]]) -> Break:
    """Other cells on one line."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        data.table.line(LINE)[:] = cells(data)
        return ()

    return change


def _cell(name: Callable[[Set], str], text: str, *words: str) -> Break:
    """Another text in one cell of a column."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        data.table.put(name(data), lambda line: text, lines=range(LINE, LINE + 1))
        return tuple(word.format(name=name(data)) for word in words)

    return change


def _column(name: Callable[[Set], str], values: Callable[[int], str], *words: str) -> Break:
    """Other texts in all cells of a column."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        for table in data.files.values():
            table.put(name(data), values)
        return tuple(word.format(name=name(data)) for word in words)

    return change


def _number(data: Set) -> str:
    return data.number


def _whole(data: Set) -> str:
    return data.whole


def _text(data: Set) -> str:
    return data.text


def _target(data: Set) -> str:
    return data.target


def _before(text: bytes) -> Break:
    """Bytes in front of a line."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        data.table.before[LINE] = text
        return ()

    return change


def _named(name: Callable[[Set], str]) -> Break:
    """Another name of a column."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        if not data.table.header:
            listed = f", {data.number},"
            assert listed in data.config
            data.config = data.config.replace(listed, f", {json.dumps(name(data))},")
        for table in data.files.values():
            table.names[table.names.index(data.number)] = name(data)
        return ()

    return change


def _one_row(data: Set, project: Path) -> tuple[str, ...]:
    row = [cell if cell not in ("", "?") else "x" for cell in data.table.rows[0]]
    for table in data.files.values():
        table.rows[:] = [[*row]]
        table.put(data.target, lambda line: "5")
    return ()


def _numbers(value: str, other: str) -> Break:
    """Numbers as the target."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        for table in data.files.values():
            table.put(data.target, lambda line: other.format(line=line))
        data.table.put(data.target, lambda line: value, lines=range(LINE, LINE + 1))
        split = ("data.split={kind: random, test_size: 0.25}",)
        return (
            "data.task=regression",
            *_no_positive(data),
            *(split if data.name == "penguins" else ()),
        )

    return change


def _one_class(data: Set, project: Path) -> tuple[str, ...]:
    for table in data.files.values():
        table.put(data.target, lambda line: "5")
    return ("data.task=binary",)


def _no_rows(data: Set, project: Path) -> tuple[str, ...]:
    data.table.rows.clear()
    return ()


def _impossible_date(data: Set, project: Path) -> tuple[str, ...]:
    _dates(data, "2024-02-31")
    return ()


def _stated_date(data: Set, project: Path) -> tuple[str, ...]:
    _dates(data, "31.01.2024")
    return (f"data.columns.{data.number}.type=datetime",)


def _dates(data: Set, wrong: str) -> None:
    for table in data.files.values():
        table.put(data.number, lambda line: f"2024-01-{line % 28 + 1:02}")
    data.table.put(data.number, lambda line: wrong, lines=range(LINE, LINE + 1))


def _many_levels(data: Set, project: Path) -> tuple[str, ...]:
    _repeated(data)
    data.table.put(data.text, lambda line: f"level {line % 10_000}")
    if data.name != "adult":  # a split that depends on nothing but the number of rows
        _end(data, "split: {kind: random, test_size: 0.25}\n")
    return (f"prepare.columns={{{data.text}: [one_hot]}}",)


def _many_classes(data: Set, project: Path) -> tuple[str, ...]:
    _repeated(data)
    data.table.put(data.target, lambda line: f"class {line % 10_000}")
    return ()


def _repeated(data: Set) -> None:
    rows = data.table.rows
    rows[:] = [[*rows[number % len(rows)]] for number in range(12_000)]


def _classes(train: str, test: str) -> Break:
    """Classes of the training part and of the test part, one letter each, which a column names."""

    def change(data: Set, project: Path) -> tuple[str, ...]:
        table = data.table
        table.put(data.text, lambda line: "train" if line <= 150 else "test")
        table.put(
            data.target,
            lambda line: (letters := train if line <= 150 else test)[line % len(letters)],
        )
        _end(data, f"split: {{kind: column, column: {data.text}}}\n")
        return (f"data.columns.{data.text}.role=group", "data.task=multiclass", *_no_positive(data))

    return change


def _end(data: Set, text: str) -> None:
    """Another split, without test rows of their own unless the text has them."""
    data.config = re.sub(r"^(?:test|split):.*", text, data.config, count=1, flags=re.S | re.M)


def _no_positive(data: Set) -> tuple[str, ...]:
    return ("data.positive=null",) if data.name == "adult" else ()


def _other_words(data: Set, project: Path) -> tuple[str, ...]:
    """Test rows of a file of their own, whose classes are written in another way."""
    if data.name == "adult":
        data.config = re.sub(r" *replace:.*\n", "", data.config)
        return ()
    file = f"test-{data.main}"
    data.files[file] = Table(data.table.names, [[*row] for row in data.table.rows[:80]])
    data.table.put(data.target, lambda line: "ab"[line % 2])
    data.files[file].put(data.target, lambda line: ("a.", "b.")[line % 2])
    _end(data, f"test: {{kind: csv, path: {file}}}\nsplit: {{kind: file}}\n")
    return ("data.task=binary",)


def _database(query: str, uri: str = "sqlite:///rows.db") -> Break:
    def change(data: Set, project: Path) -> tuple[str, ...]:
        with sqlite3.connect(project / "rows.db") as database:
            names = ", ".join(f'"{name}"' for name in data.table.names)
            database.execute(f"CREATE TABLE rows ({names})")
            marks = ", ".join("?" * len(data.table.names))
            database.executemany(f"INSERT INTO rows VALUES ({marks})", data.table.rows)
        database.close()
        (project / "no.db").write_bytes(b"no database" * 99)
        data.config = re.sub(
            r"source:.*?(?=\n\w)",
            f'source: {{kind: sql, uri: "{uri}", query: "{query}"}}',
            data.config,
            count=1,
            flags=re.S,
        )
        if data.name == "adult":  # whose test file takes the names of the other's columns
            _end(data, "split: {kind: stratified, test_size: 0.25}\n")
        return ()

    return change


# Each is found by compiling (exit 3), or by running alone (exit 5).
COMPILING: Mapping[str, Break] = {
    "bytes that are no UTF-8": _before(b"\xe9"),
    "a row with too few cells": _on_line(lambda data: ["1", "2"]),
    "a row with too many cells": _on_line(lambda data: ["9"] * (len(data.table.names) + 1)),
    "a quote that is never closed": _before(b'"'),
    "two columns of one name": _named(_text),
    "a target without a value": _column(_target, lambda line: ""),
    "a column of numbers with a text": _cell(_number, "about 3"),
    "a column stated as numbers with a text": _cell(
        _number, "about 3", "data.columns.{name}.type=numeric"
    ),
    "a column of texts stated as numbers": _column(
        _text, lambda line: "x", "data.columns.{name}.type=numeric"
    ),
    "a target of one class": _one_class,
    "a date that there is not": _impossible_date,
    "a date in another form": _stated_date,
    "a whole number beyond 64 bits": _cell(_whole, "99999999999999999999"),
    "ten thousand classes": _many_classes,
    "classes in other words in the test file": _other_words,
    "one row": _one_row,
    "no row": _no_rows,
    "a name with a quote": _named(lambda data: 'a"b'),
    "a name with a line break": _named(lambda data: "a\nb"),
    "a name with a backslash": _named(lambda data: "a\\b"),
    "a database that is not there": _database("SELECT * FROM rows", "sqlite:///gone.db"),
    "a database that is none": _database("SELECT * FROM rows", "sqlite:///no.db"),
    "a query that fails": _database("SELECT nobody FROM rows ORDER BY 1"),
    "a query of a table that is not there": _database("SELECT * FROM row"),
    "a query without rows": _database("SELECT * FROM rows LIMIT 0"),
}
RUNNING: Mapping[str, Break] = {
    "an infinite value": _cell(_number, "inf"),
    "an infinite target": _numbers("-inf", "{line}"),
    "a column without a value": _column(
        _number, lambda line: "", "prepare.columns={{{name}: [impute]}}"
    ),
    "a target of one value": _numbers("5", "5"),
    "ten thousand levels": _many_levels,
    "a class without test rows": _classes("abc", "ab"),
    "a class of test rows alone": _classes("ab", "abc"),
}
WORKING: Mapping[str, Break] = {
    "a column of one value": _column(_text, lambda line: "x"),
    "a column without a value": _column(_number, lambda line: ""),
    **{
        f"a column called {name!r}": _named(lambda data, name=name: name)
        for name in (
            "class",
            "None",
            "a b",
            "a.b",
            "..",
            "../../etc",
            "a/b",
            "{{ 7*7 }}",
            "it's",
            "größe",
            "年齢",
        )
    },
}


def _cases(traps: Mapping[str, Break]) -> list[object]:
    """Each trap with each set, one of the three of each among the quick tests."""
    return [
        pytest.param(name, trap, marks=() if number % 3 == place else pytest.mark.slow)
        for number, trap in enumerate(traps)
        for place, name in enumerate(SETS)
    ]


def _made(name: str, change: Break, directory: Path) -> tuple[Path, tuple[str, ...]]:
    """A project with a trap, and the words of its command lines."""
    data, project = SETS[name](), directory / "project"
    project.mkdir()
    words = change(data, project)
    return data.make(project), words


def _held(name: str) -> dict[str, str]:
    file = PLACE / f"{name}.md"
    return dict(_HELD.findall(file.read_text("utf-8"))) if file.is_file() else {}


def _check(name: str, trap: str, answer: Answer, project: Path) -> None:
    """The answer is what is held of a trap; or held from now on."""
    said = answer.err.replace(str(project), "PROJECT") + f"[exit {answer.code}]\n"
    if os.environ.get("UPDATE_GOLDEN") and not REAL:
        held = {**_held(name), trap: said}
        order = [*COMPILING, *RUNNING]
        parts = [f"## {item}\n\n```text\n{held[item]}```\n" for item in order if item in held]
        (PLACE / f"{name}.md").write_text("\n".join([f"# {name}, broken\n", *parts]), "utf-8")
        return
    assert said == _held(name)[trap]


def _files(project: Path) -> dict[str, bytes]:
    """Every file of a project but what may be cached."""
    return {
        str(file.relative_to(project)): file.read_bytes()
        for file in project.rglob("*")
        if file.is_file() and ".mlops/cache" not in str(file)
    }


@pytest.mark.parametrize(("name", "trap"), _cases(COMPILING))
def test_what_compiling_finds(name: str, trap: str, tmp_path: Path) -> None:
    """By `compile` and by `run`, before anything is written."""
    project, words = _made(name, COMPILING[trap], tmp_path)
    before = _files(project)
    answer = mlops(project, "compile", *words)
    _check(name, trap, answer, project)
    assert answer.code == 3 and answer.out == ""
    run = mlops(project, "run", *words)
    assert (run.code, run.err, run.out) == (3, answer.err, "")
    assert _files(project) == before


@pytest.mark.parametrize(("name", "trap"), _cases(RUNNING))
def test_what_running_finds(name: str, trap: str, tmp_path: Path) -> None:
    """The steps before it are kept, nothing of the one that fails, and the store is whole."""
    project, words = _made(name, RUNNING[trap], tmp_path)
    words = ("model.params.num_iterations=5", *words)
    assert mlops(project, "compile", *words).code == 0
    answer = mlops(project, "run", "--quiet", *words)
    _check(name, trap, answer, project)
    assert answer.code == 5
    kept = stored(project)
    again = mlops(project, "run", "--quiet", *words)
    assert (again.code, again.err) == (5, answer.err)
    assert stored(project) == kept
    assert mlops(project, "store", "fsck", "--dry-run").code == 0


@pytest.mark.parametrize(("name", "trap"), _cases(WORKING))
def test_what_is_no_mistake(name: str, trap: str, tmp_path: Path) -> None:
    project, words = _made(name, WORKING[trap], tmp_path)
    answer = mlops(project, "compile", *words)
    assert answer.code == 0, answer.err


def test_every_text_is_of_a_trap() -> None:
    for name in SETS:
        assert list(_held(name)) == [*COMPILING, *RUNNING]
