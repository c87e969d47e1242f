"""The Python interface: the code that the command line calls, from config to model."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import mlops_compile as mc
from mlops_compile.api.locks import read_lock, write_lock
from mlops_compile.api.models import checkout_bundle, find_bundle
from mlops_compile.api.project import Given, init
from mlops_compile.api.registering import place_with
from mlops_compile.api.running import read_run, run_and_write
from mlops_compile.api.state import state_with
from mlops_compile.execute.observer import Silent
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.lock import encode
from mlops_compile.store.blobs import tree_digest

LIMITS = Resources(cores=1, workers=1)
QUICK = ("data=iris", "model.params.num_iterations=2", "model.params.num_leaves=4")
Start = Callable[..., "subprocess.Popen[str]"]


def test_what_is_public_is_there() -> None:
    for name in mc.__all__:
        assert getattr(mc, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        mc.nothing  # noqa: B018


def test_config_to_model(tmp_path: Path) -> None:
    lock = mc.compile(QUICK, project=tmp_path)
    record = mc.run(lock, project=tmp_path)
    assert record.ok and record.model and record.bundle
    assert mc.run(QUICK, project=tmp_path) == record
    assert {result.status for result in mc.run(lock, project=tmp_path).results} == {"hit"}
    assert record.metrics["test"]["accuracy"] > 0.5  # type: ignore[index]


def test_compiling_writes_nothing_but_the_cache(tmp_path: Path) -> None:
    mc.compile(QUICK, project=tmp_path)
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*")} <= {
        (".mlops",),
        (".mlops", "cache"),
    }


def test_compiling_is_the_same_wherever_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mc.compile(QUICK, project=tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert encode(mc.compile(list(QUICK))) == encode(first)


def test_problems_name_the_override(tmp_path: Path) -> None:
    with pytest.raises(mc.CompileError) as caught:
        mc.compile([*QUICK, "model.params.num_leafs=3", "deploy.max_records=0"], project=tmp_path)
    found = {".".join(p.where): str(p.origin) for p in caught.value.problems}
    assert set(found) == {"model.params.num_leafs", "deploy.max_records"}
    assert "model.params.num_leafs=3" in found["model.params.num_leafs"]


def test_one_text_is_no_list_of_overrides(tmp_path: Path) -> None:
    for call in (mc.compile, mc.run):
        with pytest.raises(mc.CompileError, match="one text") as caught:
            call("model=ridge", project=tmp_path)
        assert "write ['model=ridge']" in str(caught.value)


def test_problems_name_the_file_and_line(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    (conf / "model").mkdir(parents=True)
    (conf / "config.yaml").write_text("defaults:\n  - data: iris\n  - model: mine\n  - _self_\n")
    (conf / "model" / "mine.yaml").write_text("family: lightgbm\nparams:\n  num_leafs: 3\n")
    with pytest.raises(mc.CompileError) as caught:
        mc.compile(project=tmp_path)
    (problem,) = caught.value.problems
    assert problem.origin is not None
    assert problem.origin.source.endswith("mine.yaml") and problem.origin.line == 3


def test_a_lock_is_written_once_and_read_back(tmp_path: Path) -> None:
    lock, file = mc.compile(QUICK, project=tmp_path), tmp_path / LOCK_FILE
    assert write_lock(lock, file)
    assert not write_lock(lock, file)
    assert read_lock(file) == lock
    file.write_bytes(b"\xff")
    with pytest.raises(mc.CompileError):
        read_lock(file)
    file.unlink()
    with pytest.raises(mc.CompileError, match="no lock"):
        read_lock(file)


def test_a_run_directory_is_read_back_and_names_its_bundle(tmp_path: Path) -> None:
    place, lock = place_with((), tmp_path), mc.compile(QUICK, project=tmp_path)
    record, bundle = run_and_write(lock, place.state, tmp_path, tmp_path / "run", Silent(), LIMITS)
    assert read_run(tmp_path / "run") == record
    assert bundle is not None and tree_digest(bundle).sha256 == record.bundle
    assert record.model is not None and record.bundle is not None
    for name in (str(tmp_path / "run"), record.model, record.model[:8], record.bundle[:12]):
        assert find_bundle(name, place).sha256 == record.bundle
    for name in (record.model[:7], "zzzzzzzz", "", str(tmp_path)):
        with pytest.raises(mc.CompileError):
            find_bundle(name, place)
    checkout_bundle(record.model, place, tmp_path / "out")
    assert tree_digest(tmp_path / "out").sha256 == record.bundle


def test_a_directory_that_is_no_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(mc.CompileError, match="not the directory of a run that ended"):
        read_run(tmp_path)


def test_init_makes_a_project_that_compiles(tmp_path: Path) -> None:
    data = tmp_path / "my data.csv"
    rows = "".join(f"{n},{'ab'[n % 2]},{n % 7},{n % 3 == 0}\n" for n in range(90))
    data.write_text('id,"kind ${x}",No,"won: it"\n' + rows)
    given = Given(data=str(data), target="won: it")
    proposal, files = init(tmp_path / "new", given)
    assert all((tmp_path / "new" / file).is_file() for file in files)
    lock = mc.compile(project=tmp_path / "new")
    assert lock.source("data").rows == proposal.rows == 90
    assert [field.name for field in lock.contract.request] == ["No", "kind ${x}"]
    assert lock.contract.classes == ("false", "true")
    before = {file: (tmp_path / "new" / file).read_bytes() for file in files}
    with pytest.raises(mc.CompileError, match="there already"):
        init(tmp_path / "new", given)
    assert before == {file: (tmp_path / "new" / file).read_bytes() for file in files}


COLD = """
import sys
import mlops_compile as mc
lock = mc.compile(sys.argv[2:], project=sys.argv[1])
record = mc.run(lock, project=sys.argv[1])
assert {result.status for result in record.results} == {"hit"}
heavy = {"pandas", "sklearn", "lightgbm", "optuna", "pyarrow", "scipy", "numpy"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_warm_compile_and_a_cached_run_import_no_heavy_library(
    tmp_path: Path, start: Start
) -> None:
    mc.run(QUICK, project=tmp_path)
    out, error = start(COLD, tmp_path, *QUICK).communicate()
    assert out.strip() == "[]", error


def test_importing_the_package_imports_nothing_else(start: Start) -> None:
    program = """
import sys, mlops_compile
print([name for name in sys.modules if name.startswith(("mlops_compile.", "hydra"))])
"""
    out, error = start(program).communicate()
    assert out.strip() == "[]", error


def test_the_state_lies_where_the_config_says(tmp_path: Path) -> None:
    assert state_with((), tmp_path).root == tmp_path / ".mlops"
    assert state_with(("store.uri=else/where",), tmp_path).root == tmp_path / "else" / "where"
    absolute = tmp_path / "absolute"
    assert os.fspath(state_with((f"store.uri={absolute}",), tmp_path).root) == str(absolute)
