"""`init`: how data is written, where it is, and what of it is wrong, said on the command line."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlops_compile.api.project import Given, propose
from tests.project import Answer, good, mlops

ROWS = 60


def table() -> list[dict[str, Any]]:
    draw = random.Random(0)
    return [
        {
            "cost": draw.randrange(100_000, 900_000) / 100,
            "city": "xyz"[n % 3] if n % 7 else None,
            "answer": draw.choice(["yes", "no"]),
        }
        for n in range(ROWS)
    ]


def write_odd(path: Path) -> None:
    """A file that nobody could guess: its separator, its missing mark and what stands above."""
    lines = ["made by hand", "in 2024", "% a remark", "cost:city:answer"]
    for row in table():
        cost = f"{row['cost']:,.2f}".translate(str.maketrans(",.", ".,"))
        lines.append(f"{cost}:{row['city'] or 'Köln'}:{row['answer']}.")
    path.write_text("\n".join(lines) + "\n", "latin-1")


ODD = {
    "separator": ":",
    "skip": "2",
    "comment": "%",
    "encoding": "latin-1",
    "decimal": ",",
    "thousands": ".",
    "missing": "Köln",
    "replace": "{answer: {yes.: 'yes', no.: 'no'}}",
}


def init(place: Path, data: str, *words: str, directory: str = "new", **options: str) -> Answer:
    given = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    return mlops(place, "init", directory, "--data", data, "--target", "answer", *words, *given)


def seen(data: Path, **options: str) -> dict[str, Any]:
    """The options that a look at data comes to."""
    return dict(propose(Given(data=str(data), target="answer", options=options))[1].options)


def source(place: Path, directory: str = "new") -> dict[str, Any]:
    """What was written of the source, once the project compiled to rows that `init` saw."""
    good(place / directory, "compile")
    (file,) = (place / directory / "conf" / "data").iterdir()
    written: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    assert f": {ROWS} rows" in file.read_text("utf-8")
    assert written["columns"]["cost"] == {"type": "numeric"}
    found: dict[str, Any] = written["source"]
    return found


def test_options_say_how_to_look_at_a_file_and_stand_in_the_config(tmp_path: Path) -> None:
    write_odd(tmp_path / "odd.txt")
    assert init(tmp_path, "odd.txt").code == 3
    answer = init(tmp_path, "odd.txt", **ODD)
    assert answer.code == 0, answer.err
    assert f"{ROWS} rows, 3 columns, 2 features" in answer.out
    assert source(tmp_path) == {
        "kind": "csv",
        "path": "../odd.txt",
        "options": {
            **{name: ODD[name] for name in ("separator", "comment", "encoding")},
            **{name: ODD[name] for name in ("decimal", "thousands")},
            "skip": 2,
            "missing": ["Köln"],
            "replace": {"answer": {"yes.": "yes", "no.": "no"}},
        },
    }
    text = (tmp_path / "new/conf/data/odd.yaml").read_text("utf-8")
    assert '"city": {type: categorical}  # 3 levels, 9 missing' in text


@pytest.mark.parametrize(
    ("text", "value"),
    [("-1", ["-1"]), ("[a, -1]", ["a", "-1"]), ('["?", "x y"]', ["?", "x y"]), ("", [""])],
)
def test_a_list_holds_texts(tmp_path: Path, text: str, value: list[str]) -> None:
    (tmp_path / "t.csv").write_text(
        "cost,answer\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(60))
    )
    assert seen(tmp_path / "t.csv", missing=text) == {"missing": tuple(value)}


@pytest.mark.parametrize("text", ["tab", "\\t", "\t", '"\\t"'])
def test_a_tab_can_be_typed(tmp_path: Path, text: str) -> None:
    lines = (f"{n % 7}\t{n % 2}" for n in range(ROWS))
    (tmp_path / "t.csv").write_text("\n".join(["cost\tanswer", *lines]))
    assert seen(tmp_path / "t.csv", separator=text) == {"separator": "\t"}


def test_what_is_stated_is_not_guessed(tmp_path: Path) -> None:
    """A first row of numbers is names, `?` a level, and a comma cuts no numbers."""
    lines = (f"{n};{'?' if n % 3 else 'b'};{n % 5},5;{n % 2}" for n in range(ROWS))
    (tmp_path / "t.csv").write_text("\n".join(["1;city;cost;answer", *lines]))
    assert init(tmp_path, "t.csv").code == 3
    answer = init(tmp_path, "t.csv", header="true", missing="none", decimal=".")
    assert answer.code == 0, answer.err
    text = (tmp_path / "new/conf/data/t.yaml").read_text("utf-8")
    assert '"city": {type: categorical}  # 2 levels\n' in text
    assert '"cost": {type: categorical}  # 5 levels\n' in text


def test_a_file_without_names_can_be_taken_by_the_numbers_of_its_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("".join(f"{n / 7},{'ab'[n % 2]}\n" for n in range(ROWS)))
    words = ("init", "new", "--data", "t.csv", "--target", "column_2", "--option", "header=false")
    good(tmp_path, *words)
    assert '"column_1": {type: numeric}' in (tmp_path / "new/conf/data/t.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (
            {"sep": ":"},
            3,
            "--option sep: csv has no such option\n = help: did you mean 'separator'",
        ),
        ({"x": "red"}, 3, "options of csv: separator, header, columns"),
        ({"decimal": "ab"}, 3, "--option decimal: must be one character"),
        ({"skip": "two"}, 3, "--option skip: must be a whole number, not the text 'two'"),
        ({"skip": "-2"}, 3, "--option skip: must be"),
        ({"header": "no"}, 3, "--option header: must be true or false"),
        ({"encoding": "klingon"}, 3, "--option encoding: there is no encoding 'klingon'"),
        ({"separator": "tsv"}, 3, "--option separator=tab"),
        ({"missing": "[?"}, 3, "--option missing: is no list or map as YAML writes it: [?"),
        ({"replace": "{answer: x}"}, 3, "--option replace.answer: must be a map of texts"),
        ({"replace": "{who: {a: b}}"}, 3, "--option replace.who: the data has no column 'who'"),
        ({"missing_in": "[a]"}, 3, "--option missing_in: must be a map"),
        ({"encoding": "ascii"}, 3, "set --option encoding to the file's"),
    ],
)
def test_a_wrong_option_is_a_sentence_and_nothing_is_written(
    tmp_path: Path, options: dict[str, str], code: int, says: str
) -> None:
    write_odd(tmp_path / "odd.txt")
    answer = init(tmp_path, "odd.txt", **{**ODD, **options})
    assert answer.code == code and says in answer.err
    assert "data.source" not in answer.err
    assert [file.name for file in tmp_path.iterdir()] == ["odd.txt"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--option", "skip"), "an option is NAME=VALUE, not 'skip'"),
        (("--option", "=1"), "an option is NAME=VALUE, not '=1'"),
        (("--option", "skip=1", "--option", "skip=2"), "--option skip is given twice"),
        (("--columns", "a,b", "--option", "columns=[a,b]"), "--option columns is given twice"),
        (("--data", "sqlite:///people.db"), "--query is to say which rows are meant"),
    ],
)
def test_a_command_line_that_says_nothing_is_usage(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    write_odd(tmp_path / "odd.txt")
    answer = init(tmp_path, "odd.txt", *words)
    assert answer.code == 2 and says in answer.err
    assert not (tmp_path / "new").exists()


# Where data is


@pytest.fixture
def memory() -> Any:
    """fsspec's objects in memory, none at the end."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def write_parts(place: Path) -> None:
    for number in (1, 2):
        part = table()[:30] if number == 1 else table()[30:]
        folder = place / "sales" / f"day={number}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(part), folder / "0.parquet")


@pytest.mark.parametrize("data", ["sales", "sales/", "sales/**/*.parquet", "./sales/day=*/*"])
def test_a_folder_or_a_pattern_of_parquet_files(tmp_path: Path, data: str) -> None:
    write_parts(tmp_path)
    assert init(tmp_path, data, directory="a/new").code == 0
    found = source(tmp_path, "a/new")
    path = Path(data).as_posix()
    assert found == {"kind": "parquet", "path": f"../../{path}", "options": {}}
    assert (tmp_path / "a/new/conf/data/sales.yaml").is_file()


def test_options_are_those_of_the_kind_that_the_data_is(tmp_path: Path) -> None:
    write_parts(tmp_path)
    answer = init(tmp_path, "sales", separator=";")
    assert answer.code == 3
    assert "--option separator: parquet has no such option" in answer.err
    assert "options of parquet: exclude, missing, replace, hive" in answer.err
    assert init(tmp_path, "sales", hive="false", exclude="city").code == 0
    assert source(tmp_path)["options"] == {"hive": False, "exclude": ["city"]}


def test_an_object_behind_a_uri_stays_where_it_is(tmp_path: Path, memory: Any) -> None:
    write_odd(tmp_path / "odd.txt")
    memory.pipe("/shop/odd.txt", (tmp_path / "odd.txt").read_bytes())
    answer = init(tmp_path, "memory://shop/odd.txt", **ODD)
    assert answer.code == 0, answer.err
    assert source(tmp_path)["path"] == "memory://shop/odd.txt"
    write_parts(tmp_path)
    memory.put(str(tmp_path / "sales"), "/shop/sales", recursive=True)
    for number, uri in enumerate(("memory://shop/sales", "memory://shop/sales/**/*.parquet")):
        assert init(tmp_path, uri, directory=f"p{number}").code == 0
        assert source(tmp_path, f"p{number}")["path"] == uri
        assert (tmp_path / f"p{number}/conf/data/sales.yaml").is_file()


def write_database(place: Path) -> None:
    with sqlite3.connect(place / "people.db") as database:
        database.execute("CREATE TABLE people (cost REAL, city TEXT, answer TEXT)")
        rows = [tuple(row.values()) for row in table()]
        database.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
    database.close()


def test_the_rows_of_a_query(tmp_path: Path) -> None:
    write_database(tmp_path)
    query = "SELECT * FROM people ORDER BY rowid"
    answer = init(tmp_path, "sqlite:///people.db", "--query", query, directory="a/new")
    assert answer.code == 0, answer.err
    assert source(tmp_path, "a/new") == {
        "kind": "sql",
        "uri": "sqlite:///../../people.db",
        "query": query,
    }
    whole = f"sqlite:///{tmp_path / 'people.db'}"
    assert init(tmp_path, whole, "--query", query).code == 0
    assert source(tmp_path)["uri"] == whole


@pytest.mark.parametrize(
    ("data", "words", "says"),
    [
        ("gone.csv", (), "--data: there is no file gone.csv"),
        ("gone/*.parquet", (), "--data: no file is called gone/*.parquet"),
        ("memory://shop/gone.csv", (), "--data: there is no object memory://shop/gone.csv"),
        ("s3://u:word@shop/a.csv", (), "--data holds a password"),
        ("s3://shop/a.csv?X-Amz-Signature=word", (), "--data holds a signature or a key"),
        ("sqlite:///gone.db", ("--query", "SELECT 1"), "--data: there is no file gone.db"),
        ("people.db", ("--query", "SELECT 1"), "--data: is no URI of a database"),
        ("sqlite:///people.db", ("--query", "SELECT x"), "--query: the query fails: no such"),
        ("sqlite:///people.db", ("--query", "DROP TABLE people"), "--query: must be a SELECT"),
        (
            "sqlite:///people.db",
            ("--query", "SELECT 1", "--option", "credentials_env=a:word"),
            "--option credentials_env: must be the name of an environment variable",
        ),
        (
            "sqlite:///people.db",
            ("--query", "SELECT 1", "--exclude", "a"),
            "leave the column out of the query",
        ),
        ("mysql://u:word@host/shop", ("--query", "SELECT 1"), "--data holds a password"),
    ],
)
def test_data_that_cannot_be_had_is_a_sentence(
    tmp_path: Path, memory: Any, data: str, words: tuple[str, ...], says: str
) -> None:
    write_database(tmp_path)
    answer = init(tmp_path, data, *words)
    assert answer.code == 3 and says in answer.err
    assert "word" not in answer.err.replace("password", "")
    assert [file.name for file in tmp_path.iterdir()] == ["people.db"]


@pytest.mark.parametrize("name", ["2024", "no", "null", "inf"])
def test_a_project_has_a_name_that_is_read_as_a_text(tmp_path: Path, name: str) -> None:
    lines = (f"{n / 7},{'ab'[n % 2]}" for n in range(ROWS))
    (tmp_path / f"{name}.csv").write_text("\n".join(["cost,answer", *lines]))
    assert init(tmp_path, f"{name}.csv").code == 0
    assert source(tmp_path)["path"] == f"../{name}.csv"
