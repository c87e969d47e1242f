"""Objects of an S3 server as sources: `nox -s servers`."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="for `nox -s servers`")
pytest.importorskip("s3fs", reason="for `nox -s servers`")

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import s3fs

from tests.project import SMALL, Answer, good, make, mlops, rows, stored
from tests.servers.postgres import free_port
from tests.servers.s3 import S3, running

AT = "data.source.path='s3://shop/rows.csv'"
PARTS = ("data.source.kind=parquet", "data.source.path='s3://shop/parts'")


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with running() as started:
        yield started


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The server with the rows as an object and as a folder, and a reader's credentials."""
    server.put("rows.csv", rows().encode())
    table = pa.csv.read_csv(io.BytesIO(rows().encode()))
    for number in range(3):
        file = io.BytesIO()
        pq.write_table(table.slice(number * 80, 80), file)
        server.put(f"parts/{number}.parquet", file.getvalue())
    ask_as(monkeypatch, server, "reader")
    return server


def ask_as(patch: pytest.MonkeyPatch, server: S3, user: str, **more: str) -> None:
    for name, value in {**server.environment(user), **more}.items():
        patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = make(tmp_path / "p")
    (made / "rows.csv").unlink()
    return made


def refused(project: Path, *words: str) -> Answer:
    answer = mlops(project, "compile", *SMALL, *words)
    assert answer.code == 3, answer.err
    assert stored(project) == {} and not (project / "plan.lock.json").exists()
    return answer


@pytest.mark.parametrize("words", [(AT,), PARTS, (PARTS[0], "data.source.path='s3://shop/p*/*'")])
def test_objects_run_to_a_bundle_and_again_without_the_server(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    good(project, "compile", *SMALL, *words)
    record = good(project, "run", "--json", *SMALL, *words).document
    good(project, "bundle", record["directory"], "-o", "bundle")
    assert (project / "bundle" / "CARD.md").is_file()
    lock = json.loads((project / "plan.lock.json").read_text())
    assert lock["sources"]["data"]["rows"] == 240
    ask_as(monkeypatch, s3, "reader", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    again = good(project, "run", "--json", "--locked", *SMALL, *words).document
    assert {step["status"] for step in again["steps"]} == {"hit"}
    key, secret = s3.keys["reader"]
    for file in project.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert secret.encode() not in data and key.encode() not in data, file


@pytest.mark.parametrize(
    ("user", "more", "says"),
    [
        ("stranger", {}, "s3://shop/rows.csv cannot be read: Forbidden"),
        ("reader", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "may these credentials read it?"),
        ("reader", {"AWS_ACCESS_KEY_ID": "wrong"}, "may these credentials read it?"),
    ],
)
def test_wrong_credentials(
    project: Path,
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    more: dict[str, str],
    says: str,
) -> None:
    ask_as(monkeypatch, s3, user, **more)
    answer = refused(project, AT)
    assert says in answer.err and s3.keys[user][1] not in answer.err
    assert "s3://shop/parts cannot be read" in refused(project, *PARTS).err


def test_no_credentials(
    project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    answer = refused(project, AT)
    assert "there are no credentials for it here" in answer.err
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in answer.err


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("s3://nobody/rows.csv", "the bucket does not exist"),
        ("s3://shop/nothing.csv", "there is no object s3://shop/nothing.csv"),
    ],
)
def test_what_is_not_there(project: Path, s3: S3, path: str, says: str) -> None:
    assert says in refused(project, f"data.source.path='{path}'").err


def test_a_server_that_is_not_there(project: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_as(monkeypatch, s3, "reader", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    answer = refused(project, AT)
    assert "s3://shop/rows.csv cannot be read: Could not connect" in answer.err
    assert "is the service there, and can it be reached from here?" in answer.err


def test_an_object_that_changes_while_it_is_read(project: Path, s3: S3) -> None:
    end = threading.Event()

    def write() -> None:
        number = 0
        while not end.is_set():
            number += 1
            s3.put("moving.csv", rows().encode() + f"{number},,,,,no\n".encode())

    s3.put("moving.csv", rows().encode())
    writer = threading.Thread(target=write)
    writer.start()
    try:
        answer = refused(project, "data.source.path='s3://shop/moving.csv'")
    finally:
        end.set()
        writer.join()
    assert "s3://shop/moving.csv changes while it is read" in answer.err
    assert "compile again once it is whole" in answer.err


@pytest.mark.parametrize("words", [(AT,), PARTS])
def test_an_object_that_changed_since_the_lock(
    project: Path, s3: S3, words: tuple[str, ...]
) -> None:
    good(project, "compile", *SMALL, *words)
    lock = (project / "plan.lock.json").read_bytes()
    s3.put("rows.csv", rows(count=200).encode())
    s3.delete("parts/2.parquet")
    answer = mlops(project, "run", "--plan", "plan.lock.json")
    assert answer.code == 5
    assert "is not what was locked; it changed since then" in answer.err
    stale = mlops(project, "run", "--locked", *SMALL, *words)
    assert stale.code == 4, stale.err
    assert (project / "plan.lock.json").read_bytes() == lock


def test_an_object_that_is_gone_since_the_lock(project: Path, s3: S3) -> None:
    good(project, "compile", *SMALL, AT)
    s3.delete("rows.csv")
    answer = mlops(project, "run", "--plan", "plan.lock.json")
    assert answer.code == 3, answer.err
    assert "there is no file s3://shop/rows.csv" in answer.err
