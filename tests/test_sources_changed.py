"""Data that changes: between compiling and running, and while it is read. Each is a sentence and an
exit code, and nothing is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mlops_compile.execute import run as running
from mlops_compile.steps.sources import csv, parquet
from tests.project import SMALL, Answer, good, make, mlops, stored

PARTS = ("data.source.kind=parquet", "data.source.path=parts")
PATTERN = ("data.source.kind=parquet", "data.source.path=parts/*.parquet")
FILE = ()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of a csv file and of the same rows in a folder of three Parquet files."""
    directory = make(tmp_path / "p")
    table = pa.csv.read_csv(directory / "rows.csv")
    (directory / "parts").mkdir()
    for number in range(3):
        pq.write_table(table.slice(number * 80, 80), directory / "parts" / f"{number}.parquet")
    return directory


def _added(project: Path) -> None:
    shutil.copy(project / "parts" / "0.parquet", project / "parts" / "3.parquet")


def _removed(project: Path) -> None:
    (project / "parts" / "2.parquet").unlink()


def _changed(project: Path) -> None:
    shutil.copy(project / "parts" / "0.parquet", project / "parts" / "2.parquet")


def _renamed(project: Path) -> None:
    (project / "parts" / "2.parquet").rename(project / "parts" / "9.parquet")


def _grown(project: Path) -> None:
    with (project / "rows.csv").open("a") as file:
        file.write("31.0,Oslo,true,2020-01-01 10:00:00,9.50,yes\n")


def _gone(project: Path) -> None:
    (project / "rows.csv").unlink()


def _refused(answer: Answer, code: int, said: str) -> None:
    assert answer.code == code, answer.err
    assert said in answer.err, answer.err
    assert "help: " in answer.err and "MC0083" not in answer.err


LOCKED = "is not what was locked, and the store has no snapshot of that"
SINCE = {
    "added": (PARTS, _added, f"parts {LOCKED}: it has 4 files, and 3 were locked"),
    "removed": (PARTS, _removed, f"parts {LOCKED}: it has 2 files, and 3 were locked"),
    "changed": (PARTS, _changed, f"parts {LOCKED}\n"),
    "renamed": (PARTS, _renamed, f"parts {LOCKED}\n"),
    "added to a pattern": (PATTERN, _added, f"parts/*.parquet {LOCKED}: it has 4 files"),
    "grown": (FILE, _grown, f"rows.csv {LOCKED}\n"),
    "gone": (FILE, _gone, "there is no file rows.csv, and the store has no whole snapshot of it"),
}


@pytest.mark.parametrize("name", SINCE)
def test_what_changed_since_it_was_compiled(project: Path, name: str) -> None:
    """A lock is of the data that there was: it is not run on other data, and compiling again takes
    what is there."""
    words, change, said = SINCE[name]
    good(project, "compile", *SMALL, *words)
    change(project)
    _refused(mlops(project, "run", "--plan", "plan.lock.json"), 3, said)
    assert not stored(project)
    assert not (project / "outputs").exists()
    if name != "gone":
        answer = mlops(project, "compile", "--locked", *SMALL, *words)
        assert answer.code == 4, answer.err
        good(project, "compile", *SMALL, *words)


def _when_read(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, then: Any) -> None:
    """Let something happen once a source was opened, and before its rows are read."""
    usual = getattr(module, name)

    def opened(*given: Any) -> Any:
        done = usual(*given)
        then()
        return done

    monkeypatch.setattr(module, name, opened)


WHILE = {
    "added": (PARTS, _added, parquet, "_files", "parts changes while it is read: 3.parquet"),
    "removed": (PARTS, _removed, parquet, "_files", "2.parquet"),
    "changed": (PARTS, _changed, parquet, "_files", "parts changes while it is read: 2.parquet"),
    "renamed": (PARTS, _renamed, parquet, "_files", "2.parquet"),
    "grown": (FILE, _grown, csv, "open_rows", "rows.csv changes while it is read"),
    "gone": (FILE, _gone, csv, "open_rows", "there is no file rows.csv"),
}


@pytest.mark.parametrize("name", WHILE)
def test_what_changes_while_it_is_compiled(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, change, module, reader, said = WHILE[name]
    done: list[Path] = []

    def once() -> None:
        if not done:
            done.append(project)
            change(project)

    _when_read(monkeypatch, module, reader, once)
    answer = mlops(project, "compile", *SMALL, *words)
    assert done
    assert answer.code == 3 and said in answer.err, answer.err
    assert not stored(project) and not (project / "plan.lock.json").exists()


@pytest.mark.parametrize("name", ["added", "removed", "changed", "grown", "gone"])
def test_what_changes_while_it_is_copied_for_a_run(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the run looked at it, and before its bytes are in the store."""
    words, change = WHILE[name][:2]
    good(project, "compile", *SMALL, *words)
    _when_read(monkeypatch, running, "source_problems", lambda: change(project))
    answer = mlops(project, "run", "--quiet", "--plan", "plan.lock.json")
    assert answer.code == 5, answer.err
    shown = "rows.csv" if words == FILE else "parts"
    said = f"{shown} is not what was locked; it changed since then"
    assert ("acquire cannot read" if name == "gone" else said) in answer.err, answer.err
    assert not [name for name in stored(project) if name.startswith("actions")]
    monkeypatch.undo()
    assert mlops(project, "store", "fsck", "--dry-run").code == 0
