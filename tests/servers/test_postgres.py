"""Queries of a PostgreSQL server as sources: `nox -s servers`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="for `nox -s servers`")

import pyarrow as pa

from mlops_compile.steps.tables import read_table
from tests.project import Answer, good, mlops, stored
from tests.servers.postgres import PASSWORD, USER, Server, binaries, free_port, running

QUERY = "SELECT * FROM orders ORDER BY id"
ORDERS = """
CREATE TABLE orders AS SELECT
    n AS id,
    CASE WHEN n % 7 > 0 THEN n * 9007199254740993 END AS big,
    n::smallint AS small,
    (n / 3.0)::numeric(12, 4) AS price,
    (n::bigint * 1000000007)::numeric(18, 0) AS whole,
    CASE n % 10 WHEN 3 THEN 'NaN'::numeric ELSE n / 4.0 END AS gaps,
    CASE WHEN n % 5 > 0 THEN (n / 8.0)::real END AS ratio,
    (ARRAY['Oslo', 'Ålesund', NULL])[1 + n % 3] AS city,
    '0' || n AS code,
    timestamp '2026-01-01 10:00' + n * interval '1 hour' AS day,
    timestamptz '2026-07-01 10:00:00.000001+02' + n * interval '1 hour' AS zoned,
    date '2026-01-01' + n AS date,
    CASE WHEN n % 9 > 0 THEN n % 2 = 0 END AS flag,
    NULL::text AS nothing,
    interval '90 seconds' * n AS span,
    CASE WHEN n % 3 = 0 THEN 'yes' ELSE 'no' END AS answer
FROM generate_series(1, 200) n
"""
TYPES = {
    "id": "int64",
    "big": "int64?",
    "small": "int64",
    "price": "float64",
    "whole": "int64",
    "gaps": "float64?",
    "ratio": "float64?",
    "city": "string?",
    "code": "string",
    "day": "timestamp",
    "zoned": "timestamp_utc",
    "date": "timestamp",
    "flag": "bool?",
    "nothing": "float64?",
    "span": "float64",
    "answer": "string",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with running(found) as started:
        yield started


@pytest.fixture
def shop(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server with fresh orders, and a reader's credentials in the environment."""
    server.execute("DROP TABLE IF EXISTS orders", ORDERS)
    monkeypatch.setenv("SHOP_DB", f"{USER}:{PASSWORD}")
    return server


def words(server: Server, query: str = QUERY, uri: str = "", env: str = "SHOP_DB") -> list[str]:
    return [
        *("data=sql", "data.name=orders", "data.target=answer", "data.task=binary"),
        *("data.columns={id: {role: id}, big: {role: id}}", "data.split.kind=stratified"),
        *("model.params.num_iterations=3", "evaluate.allow_worse_than_baseline=true"),
        f'data.source.uri="{uri or server.uri()}"',
        f'data.source.query="{query}"',
        f"data.source.credentials_env={env}",
    ]


def locked(project: Path, *given: str) -> dict[str, Any]:
    """The source of the lock that a compilation writes."""
    good(project, "compile", *given)
    document = good(project, "compile", "--emit", "lock", *given)
    found = json.loads(document.out)["sources"]["data"]
    assert isinstance(found, dict)
    return found


def refused(project: Path, *given: str) -> Answer:
    answer = mlops(project, "run", *given)
    assert answer.code == 3, answer.err
    assert stored(project) == {} and not (project / "outputs").exists()
    return answer


def test_a_query_runs_to_a_bundle_and_the_password_is_nowhere(tmp_path: Path, shop: Server) -> None:
    answers = [good(tmp_path, verb, *words(shop)) for verb in ("compile", "run")]
    answers.append(good(tmp_path, "run", "--json", *words(shop)))
    record = answers[-1].document
    assert {step["status"] for step in record["steps"]} == {"hit"}
    answers.append(good(tmp_path, "bundle", record["directory"], "-o", "bundle"))
    answers.append(good(tmp_path, "config", "--origins", *words(shop)))
    assert (tmp_path / "bundle" / "CARD.md").is_file()
    for answer in answers:
        assert PASSWORD not in answer.out + answer.err and USER not in answer.out + answer.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 50
    for file in files:
        data = file.read_bytes()
        assert PASSWORD.encode() not in data and USER.encode() not in data, file


def test_types_come_over(tmp_path: Path, shop: Server) -> None:
    found = locked(tmp_path, *words(shop))
    assert (found["rows"], found["columns"]) == (200, TYPES)
    document = good(tmp_path, "run", "--json", *words(shop)).document
    (acquire,) = (step for step in document["steps"] if step["name"] == "acquire")
    digest = acquire["outputs"]["table"]["digest"]
    (blob,) = (tmp_path / ".mlops" / "store" / "blobs").rglob(digest)
    table = read_table(blob)
    row = dict(
        zip(table.column_names, [table.column(n)[2] for n in table.column_names], strict=True)
    )
    assert row["big"].as_py() == 3 * 9007199254740993  # no floating-point number
    assert row["price"].as_py() == 1.0 and row["whole"].as_py() == 3000000021
    assert row["gaps"].as_py() is None and row["code"].as_py() == "03"
    assert str(row["day"].cast(pa.string())) == "2026-01-01 13:00:00.000000"
    assert str(row["zoned"].cast(pa.string())) == "2026-07-01 11:00:00.000001Z"
    assert row["span"].as_py() == 270.0


def test_the_pin_stands_until_it_is_refreshed(tmp_path: Path, shop: Server) -> None:
    found = locked(tmp_path, *words(shop))
    shop.execute("DELETE FROM orders WHERE id > 150")
    assert locked(tmp_path, *words(shop)) == found
    document = good(tmp_path, "run", "--json", *words(shop)).document
    assert document["status"] == "ok"
    good(tmp_path, "compile", "--refresh", *words(shop))
    fresh = locked(tmp_path, *words(shop))
    assert fresh["rows"] == 150 and fresh["digest"] != found["digest"]


def test_a_lock_elsewhere_asks_again(tmp_path: Path, shop: Server) -> None:
    here, same, other = (tmp_path / name for name in ("here", "same", "other"))
    for folder in (here, same, other):
        folder.mkdir()
    good(here, "compile", *words(shop))
    plan = ("run", "--plan", str(here / "plan.lock.json"))
    good(same, *plan)
    shop.execute("UPDATE orders SET price = price + 1 WHERE id = 7")
    answer = mlops(other, *plan)
    assert answer.code == 5, answer.err
    assert "is not what was locked; it changed since then" in answer.err


def test_rows_that_change_while_they_are_read_are_those_of_one_moment(
    tmp_path: Path, shop: Server
) -> None:
    query = "SELECT * FROM orders WHERE pg_sleep(0.005) IS NOT NULL ORDER BY id"
    changer = threading.Timer(0.3, lambda: shop.execute("DELETE FROM orders WHERE id > 20"))
    changer.start()
    try:
        found = locked(tmp_path, *words(shop, query))
    finally:
        changer.join()
    assert found["rows"] in (20, 200)


def test_a_connection_that_is_cut_is_a_sentence(tmp_path: Path, shop: Server) -> None:
    done = threading.Event()

    def cut() -> None:
        while not done.is_set():
            shop.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'"
                " AND query LIKE 'FETCH%'"
            )
            time.sleep(0.05)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        answer = refused(
            tmp_path, *words(shop, "SELECT * FROM orders WHERE pg_sleep(1) IS NOT NULL")
        )
    finally:
        done.set()
        cutter.join()
    assert "data.source.query: the query fails: terminating connection" in answer.err


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (f"{USER}:wrong-canary", "password authentication failed"),
        ("nobody-canary:wrong", "password authentication failed"),
        ("", "the environment variable SHOP_DB is not set"),
    ],
)
def test_wrong_credentials(
    tmp_path: Path, shop: Server, monkeypatch: pytest.MonkeyPatch, secret: str, says: str
) -> None:
    monkeypatch.setenv("SHOP_DB", secret)
    answer = refused(tmp_path, *words(shop))
    assert says in answer.err and "canary" not in answer.err


def test_servers_and_databases_that_are_not_there(tmp_path: Path, shop: Server) -> None:
    answer = refused(tmp_path, *words(shop, uri=shop.uri("nothing")))
    assert "no connection" in answer.err and 'database "nothing" does not exist' in answer.err
    answer = refused(tmp_path, *words(shop, uri=shop.uri(port=free_port())))
    assert "Connection refused" in answer.err and "is the server reachable" in answer.err
    uri = "postgresql+psycopg://no-such-host.invalid/shop"
    assert "no-such-host.invalid" in refused(tmp_path, *words(shop, uri=uri)).err
    uri = shop.uri().replace("//", f"//{USER}:{PASSWORD}@")
    answer = refused(tmp_path, *words(shop, uri=uri))
    assert "holds a password" in answer.err and PASSWORD not in answer.err


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT * FROM nothing", 'the query fails: relation "nothing" does not exist'),
        ("SELECT FROM WHERE", "the query fails: syntax error at or near"),
        ("SELECT *, 1 / (id - 150) AS odd FROM orders", "the query fails: division by zero"),
        ("SELECT * FROM hidden", "the query fails: permission denied for table hidden"),
        ("SELECT * FROM orders WHERE false", "the query gives no rows"),
        ("SELECT *, 'infinity'::timestamp AS t FROM orders", "timestamp too large"),
        ("SELECT *, array[1] AS odd FROM orders", "'odd' holds list (row 1 of the query)"),
        ("SELECT *, 12345678901234567890::numeric AS odd FROM orders", "'odd' is beyond 64 bits"),
        ("WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x", "the query fails"),
        ("SELECT * FROM orders; DROP TABLE orders", "the query fails: cannot insert multiple"),
    ],
)
def test_queries_that_cannot_be_taken(tmp_path: Path, shop: Server, query: str, says: str) -> None:
    shop.execute(
        "DROP TABLE IF EXISTS hidden",
        "CREATE TABLE hidden AS SELECT 1 AS a",
        f"REVOKE SELECT ON hidden FROM {USER}",
    )
    answer = refused(tmp_path, *words(shop, query))
    assert "data.source.query: " in answer.err and says in answer.err
    good(tmp_path, "compile", *words(shop))  # the orders are there as they were
