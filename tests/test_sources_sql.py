"""Queries: what they give is pinned and kept; what goes wrong is a sentence without secrets."""

from __future__ import annotations

import gc
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlops_compile as mc
from mlops_compile.ir.lock import encode
from mlops_compile.ir.source import Source

QUERY = "SELECT * FROM people ORDER BY id"
DATA = (
    *("data=sql", "data.name=people", "data.target=answer", "data.task=binary"),
    *("data.split.kind=stratified", "model.params.num_iterations=3"),
    *("data.columns={id: {role: id}}", "evaluate.allow_worse_than_baseline=true"),
)


def overrides(query: str = QUERY, uri: str = "sqlite:///people.db", **more: str) -> list[str]:
    """The command line that reads a query."""
    keys = {"uri": uri, "query": query, **more}
    return [*DATA, *(f'data.source.{name}="{value}"' for name, value in keys.items())]


def write(root: Path, count: int = 80) -> None:
    with sqlite3.connect(root / "people.db") as database:
        database.execute("DROP TABLE IF EXISTS people")
        database.execute(
            "CREATE TABLE people (id INTEGER, city TEXT, cost REAL, zip TEXT, answer TEXT)"
        )
        rows = [
            (n, "abc"[n % 3] if n % 7 else None, n / 3, f"0{n % 5}", "yes" if n % 3 else "no")
            for n in range(count)
        ]
        database.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", rows)
    database.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    write(tmp_path)
    yield tmp_path


def source(project: Path, *args: str, **more: str) -> Source:
    return mc.compile(overrides(*args, **more), project=project).source("data")


def refused(project: Path, *args: str, **more: str) -> tuple[str, str, str]:
    with pytest.raises(mc.CompileError) as caught:
        mc.compile(overrides(*args, **more), project=project)
    (found,) = caught.value.problems
    return found.code, ".".join(found.where), found.message


def test_what_a_query_gives_is_locked(project: Path) -> None:
    found = source(project)
    assert (found.kind, found.location, found.rows) == ("sql", "sqlite:///people.db", 80)
    assert {fact.name: fact.text for fact in found.columns} == {
        "answer": "string",
        "city": "string?",
        "cost": "float64",
        "id": "int64",
        "zip": "string",  # a text is a text, whatever it looks like
    }
    assert source(project) == found
    record = mc.run(overrides(), project=project)
    assert record.ok
    again = mc.run(overrides(), project=project)
    assert {result.status for result in again.results} == {"hit"}


def test_rows_are_asked_into_the_store_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a kill leaves them, they are swept and forgotten: none lie anywhere else."""
    monkeypatch.setattr(tempfile, "tempdir", str(project / "nowhere"))
    source(project)
    assert {place.name for place in (project / ".mlops").iterdir()} == {"cache", "store"}
    assert not list((project / ".mlops" / "store").glob("scratch/*"))


def test_the_pin_stands_until_it_is_refreshed(project: Path) -> None:
    from mlops_compile.api.compiling import compile_config
    from mlops_compile.compiler.compose.config import compose

    found = source(project)
    write(project, 90)
    assert source(project) == found
    record = mc.run(overrides(), project=project)  # over the rows that were pinned
    assert record.ok and record.lock.source("data") == found
    config = compose(tuple(overrides()), project)
    fresh = compile_config(config, project, refresh=True).lock.source("data")
    assert fresh.rows == 90 and fresh.digest != found.digest
    assert source(project) == fresh


def test_equal_rows_are_equal_bytes(project: Path, tmp_path: Path) -> None:
    found = source(project)
    other = tmp_path / "other"
    other.mkdir()
    write(other)
    assert source(other).digest == found.digest
    assert source(project, QUERY + " ").digest == found.digest


def test_a_lock_runs_elsewhere_by_asking_again(project: Path, tmp_path: Path) -> None:
    lock = mc.compile(overrides(), project=project)
    other = tmp_path / "other"
    other.mkdir()
    write(other)
    assert mc.run(lock, project=other).ok
    third = tmp_path / "third"
    third.mkdir()
    write(third, 90)
    with pytest.raises(mc.RunFailed, match="is not what was locked"):
        mc.run(lock, project=third)


def test_types_can_be_stated(project: Path) -> None:
    found = mc.compile(
        [*overrides(), "data.columns={id: {type: categorical}, zip: {role: ignore}}"],
        project=project,
    ).source("data")
    assert {fact.name: fact.type for fact in found.columns} == {
        "answer": "string",
        "city": "string",
        "cost": "float64",
        "id": "string",
        "zip": "string",
    }


def test_texts_are_times_where_that_is_stated(project: Path) -> None:
    query = (
        "SELECT *, '2026-01-0' || (1 + id % 9) || ' 10:00:00' AS day,"
        " '2026-01-01T10:00:00+02:00' AS zoned, CASE id WHEN 3 THEN 'soon' ELSE '2026-01-01' END"
        " AS odd, CASE id % 2 WHEN 0 THEN 'true' ELSE 'False' END AS flag FROM people ORDER BY id"
    )
    stated = "data.columns={day: {type: datetime}, zoned: {type: datetime}, flag: {type: boolean}}"
    lock = mc.compile([*overrides(query), stated], project=project)
    found = {fact.name: fact.type for fact in lock.source("data").columns}
    assert (found["day"], found["zoned"]) == ("timestamp", "timestamp_utc")
    assert (found["odd"], found["flag"]) == ("string", "bool")
    record = mc.run(lock, project=project)
    assert record.ok
    # The pin of a committed lock stands for either sort of time.
    from mlops_compile.api.compiling import compile_config
    from mlops_compile.compiler.compose.config import compose

    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    config = compose((*overrides(query), stated), elsewhere)
    assert compile_config(config, elsewhere, committed=lock).lock == lock
    with pytest.raises(mc.CompileError, match="texts, which cannot be datetime"):
        mc.compile(
            [*overrides(query), "data.columns={odd: {type: datetime}}"],
            project=project,
        )


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("SELECT * FROM peple", "source", "the query fails: no such table: peple"),
        ("SELECT id, id FROM people", "columns", "two columns 'id'"),
        ("SELECT *, x'00' AS raw FROM people", "nested", "'raw' holds bytes (row 1"),
        ("SELECT * FROM people WHERE 0", "empty", "gives no rows"),
        (
            "SELECT *, CASE WHEN id < 40 THEN 1 ELSE city END AS odd FROM people",
            "mixed-types",
            "'odd' holds int and str in one column",
        ),
        ("DROP TABLE people", "wrong-value", "must be a SELECT"),
    ],
)
def test_a_query_that_cannot_be_taken(project: Path, query: str, code: str, words: str) -> None:
    found, where, message = refused(project, query)
    assert (found, where) == (code, "data.source.query")
    assert words in message


def test_no_rows_are_not_pinned(project: Path) -> None:
    query = "SELECT * FROM people WHERE id >= 80"
    assert refused(project, query)[0] == "empty"
    write(project, 120)
    assert source(project, query).rows == 40


def test_a_query_changes_nothing(project: Path) -> None:
    found, _, message = refused(project, "WITH x AS (SELECT 1) DELETE FROM people RETURNING id")
    assert found == "source" and "readonly" in message
    assert source(project).rows == 80


@pytest.mark.parametrize("name", ["a#b.db", "50% of.db", "é.db", "a&mode=rwc.db"])
def test_a_database_may_have_any_name(project: Path, name: str) -> None:
    (project / "people.db").rename(project / name)
    assert source(project, uri=f"sqlite:///{name}").rows == 80
    assert {path.name for path in project.glob("*")} == {name, ".mlops"}


def test_a_database_that_is_not_there(project: Path) -> None:
    assert refused(project, uri="sqlite:///nothing.db")[:2] == ("no-file", "data.source.uri")
    assert not (project / "nothing.db").exists()
    assert refused(project, uri="nonsense://x/y")[:2] == ("source", "data.source.uri")
    (project / "text.db").write_text("this is no database " * 100)
    found, _, message = refused(project, uri="sqlite:///text.db")
    assert found == "source" and "not a database" in message


def test_secrets_are_refused_and_never_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "postgresql+psycopg://me:hunter2secret@localhost/x"
    found, where, message = refused(project, uri=uri)
    assert (found, where) == ("secret", "")
    assert "data.source.uri" in message and "hunter2" not in message
    uri = "postgresql+psycopg://127.0.0.1:1/x"
    found, where, message = refused(project, uri=uri, credentials_env="PEOPLE_DB")
    assert (found, where) == ("secret", "data.source.credentials_env")
    monkeypatch.setenv("PEOPLE_DB", "me:hunter2secret")
    found, where, message = refused(project, uri=uri, credentials_env="PEOPLE_DB")
    assert (found, where) == ("source", "data.source.uri") and "hunter2" not in message


def test_credentials_are_written_nowhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLE_DB", "me:hunter2secret")
    with_them = mc.compile(overrides(credentials_env="PEOPLE_DB"), project=project)
    without = mc.compile(overrides(), project=project)
    # The lock says which variable to ask, for a run elsewhere; plan and source are the same.
    assert with_them.plan == without.plan
    assert with_them.source("data").identity == without.source("data").identity
    assert with_them.source("data").credentials_env == "PEOPLE_DB"
    assert encode(with_them).count("PEOPLE_DB") == 1
    mc.run(with_them, project=project)
    for file in project.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes()


def test_a_server_that_cannot_be_reached(project: Path) -> None:
    pytest.importorskip("psycopg", reason="mlops_compile[postgres] is not installed")
    code, where, message = refused(project, uri="postgresql+psycopg://127.0.0.1:1/shop")
    assert (code, where) == ("source", "data.source.uri")
    assert message.startswith("no connection: ") and "127.0.0.1" in message


def test_a_query_that_fails_leaves_no_room_behind(project: Path) -> None:
    (project / ".mlops" / "store").mkdir(parents=True)
    gc.disable()  # which would remove it in passing
    try:
        for number in range(3):
            refused(project, f"SELECT no{number} FROM people")
            left = [*(project / ".mlops").rglob("room-*")]
            assert not left, left
    finally:
        gc.enable()
