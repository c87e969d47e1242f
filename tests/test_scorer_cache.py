"""What a scorer compiles at its first start is kept, whole or not at all, where only the user can
write; and without it Python answers, and says why."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_compile.ir.trees import Tree, Trees
from tests.scorers import loader, write

STUMP = Tree(feature=(0,), threshold=(0.5,), flags=(1,), left=(~0,), right=(~1,), values=(1.0, 2.0))
MODEL = Trees(features=1, classes=0, base=(0.0,), width=1, trees=(STUMP,), link="identity")
ROWS, RIGHT = [(0.0,), (1.0,)], [[1.0], [2.0]]
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write(MODEL, tmp_path / "bundle")
    return tmp_path / "bundle"


def started(bundle: Path, *places: Path) -> Any:
    scorer = loader(0, 1)["Scorer"](bundle, True, [*places])
    assert scorer.answers(ROWS) == RIGHT
    return scorer


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def test_the_second_start_compiles_nothing(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    assert started(bundle, place).language == "C"
    (kept,) = place.iterdir()
    made = kept.stat().st_ino
    assert place.stat().st_mode & 0o777 == 0o700
    assert started(bundle, place).language == "C"
    assert [*place.iterdir()] == [kept] and kept.stat().st_ino == made


@pytest.mark.usefixtures("no_compiler")
def test_python_answers_without_a_compiler_and_says_so(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert started(bundle, tmp_path).language == "Python"
    said = "the scorer runs in Python, which is slower: there is no C compiler (cc, gcc or clang)\n"
    assert capfd.readouterr().err == said


def test_what_is_kept_needs_no_compiler(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(bundle, tmp_path / "kept")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert started(bundle, tmp_path / "kept").language == "C"
    assert started(bundle, tmp_path / "other", tmp_path / "kept").language == "C"


@pytest.mark.parametrize("harm", ["empty", "cut", "changed", "renamed"])
def test_what_is_not_whole_is_compiled_again(bundle: Path, tmp_path: Path, harm: str) -> None:
    place = tmp_path / "place"
    started(bundle, place)
    (kept,) = place.iterdir()
    whole = kept.read_bytes()
    kept.unlink()  # this process has it in its memory
    changed = whole.replace(b"score_rows", b"score_cows")
    name = f"{kept.stem.rpartition('-')[0]}-{'0' * 64}.so" if harm == "renamed" else kept.name
    data = {"empty": b"", "cut": whole[:2000], "changed": changed, "renamed": whole}[harm]
    (place / name).write_bytes(data)
    assert started(bundle, place).language == "C"
    assert kept.read_bytes() == whole


def test_other_trees_are_another_library(bundle: Path, tmp_path: Path) -> None:
    started(bundle, tmp_path / "place")
    text = (bundle / "scorer.c").read_text("ascii")
    (bundle / "scorer.c").write_text(text.replace("return 1.0;", "return 5.0;"), "ascii")
    assert loader(0, 1)["Scorer"](bundle, True, [tmp_path / "place"]).answers(ROWS) == [
        [5.0],
        [2.0],
    ]
    assert len([*(tmp_path / "place").iterdir()]) == 2


def test_what_nobody_starts_with_is_removed_in_time(bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "kept"
    started(bundle, place)
    (first,) = place.glob("*.so")
    old = place / f"{'0' * 64}-{'1' * 64}.so"
    old.write_bytes(b"of long ago")
    for path in (first, old):
        os.utime(path, (1e9, 1e9))
    started(bundle, place)  # takes it, and so keeps it
    (bundle / "scorer.c").write_text((bundle / "scorer.c").read_text("ascii") + "\n", "ascii")
    started(bundle, place)
    assert first.exists() and not old.exists() and len([*place.glob("*.so")]) == 2


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_place_that_others_can_write_to_is_not_used(
    bundle: Path, tmp_path: Path, mode: int
) -> None:
    place = tmp_path / "open"
    started(bundle, place)
    place.chmod(mode)
    before = [*place.iterdir()]
    assert started(bundle, place, tmp_path / "own").language == "C"
    assert [*place.iterdir()] == before and len([*(tmp_path / "own").iterdir()]) == 1


@pytest.mark.parametrize("sort", ["a file", "read-only", "below a file"])
def test_a_place_that_cannot_be_written_is_passed_over(
    bundle: Path, tmp_path: Path, sort: str, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    if sort == "read-only":
        if AS_ROOT:
            pytest.skip("root writes everywhere")
        place.mkdir(mode=0o500)
    else:
        place.write_text("")
        place = place / "below" if sort == "below a file" else place
    assert started(bundle, place, tmp_path / "own").language == "C"
    assert started(bundle, place).language == "Python"
    assert "no directory can keep what is compiled: " in capfd.readouterr().err


def test_a_compiler_that_fails_is_told(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\necho 'first' >&2\necho 'no licence' >&2\nexit 3\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert started(bundle, tmp_path / "place").language == "Python"
    assert "cc fails: no licence" in capfd.readouterr().err
    assert [*(tmp_path / "place").iterdir()] == []


PROGRAM = """
import sys
from pathlib import Path
from tests.scorers import loader
bundle, place = map(Path, sys.argv[1:])
sys.stdin.read(1)
scorer = loader(0, 1)["Scorer"](bundle, True, [place])
print(scorer.language, scorer.answers([(0.0,), (1.0,)]))
"""


def test_several_processes_may_start_at_once(
    bundle: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    place = tmp_path / "place"
    running = [start(PROGRAM, bundle, place) for _ in range(4)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (out, err) == ("C [[1.0], [2.0]]\n", "")
    assert len([*place.iterdir()]) == 1


def test_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's cache, then temporary files; never one beside where it starts."""
    places = loader(0, 1)["usual_places"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places()[0] == tmp_path / "mlops_compile" / "scorers"
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert len(places()) == 1 and places()[0].is_absolute()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert places()[0] == Path("/somewhere/.cache/mlops_compile/scorers")
