"""Bad input: a sentence with its place, the right exit code, and everything as it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import SMALL, good, make, mlops, package_environment, rows, stored


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path / "project")


def _write(name: str, data: bytes) -> Callable[[Path], None]:
    def write(project: Path) -> None:
        place = project / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)

    return write


def _nothing(project: Path) -> None:
    pass


ONE_CLASS = rows().replace(",yes\n", ",no\n").encode()
RAGGED = b"age,target\n1,yes\n2\n3,no\n"
CASES = {
    # name: (what is done first, overrides, what the error must say)
    "no file": (_nothing, ["data.source.path=gone.csv"], ["gone.csv", "override"]),
    "empty": (_write("rows.csv", b""), [], ["rows.csv is empty", "shop.yaml:7"]),
    "header only": (_write("rows.csv", b"age,target\n"), [], ["no rows", "shop.yaml:7"]),
    "binary": (_write("rows.csv", b"\x89PNG\r\n\x1a\n\0\0"), [], ["binary file"]),
    "not utf-8": (_write("rows.csv", b"age,target\n1,\xe9\n"), [], ["line 2", "utf-8", "latin-1"]),
    "ragged": (_write("rows.csv", RAGGED), [], ["line 3", "1 cell, expected 2"]),
    "no target": (_nothing, ["data.target=agee"], ["no column 'agee'", "'age'"]),
    "one class": (_write("rows.csv", ONE_CLASS), [], ["one class only, 'no'", "shop.yaml:3"]),
    "two names": (_write("rows.csv", b"a,a,target\n1,2,yes\n1,2,no\n"), [], ["two columns 'a'"]),
    "unknown key": (_nothing, ["data.sourc=1"], ["data.sourc", "did you mean 'source'"]),
    "unknown parameter": (
        _nothing,
        ["model.params.lerning_rate=1"],
        ["model.params.lerning_rate", "did you mean 'learning_rate'"],
    ),
    "wrong type": (_nothing, ["seed=many"], ["| seed=many", "whole number", "'many'"]),
    "out of range": (_nothing, ["data.split.test_size=1.5"], ["must be < 1", "1.5"]),
    "missing value": (_nothing, ["data.target=???"], ["data.target", "must be given"]),
    "null": (_nothing, ["model=null"], ["the group model needs an option", "ridge"]),
    "no such option": (_nothing, ["model=lightbgm"], ["'lightbgm'", "did you mean 'lightgbm'"]),
    "does not parse": (_nothing, ["model.params.num_leaves=[1"], ["model.params.num_leaves=[1"]),
    "not a class": (_nothing, ["data.positive=maybe"], ["no class 'maybe'", "yes"]),
    "wrong task": (_nothing, ["data.task=regression"], ["needs numbers"]),
    "three classes": (
        _write("rows.csv", rows("multiclass").encode()),
        [],
        ["3 classes (a, b, c)", "multiclass"],
    ),
    "stratified numbers": (
        _nothing,
        ["data.task=regression", "data.split.kind=stratified"],
        ["stratified split needs classes"],
    ),
    "early stopping": (
        _nothing,
        ["model.params.early_stopping_round=5"],
        ["early stopping needs a validation part"],
    ),
    "gate": (
        _nothing,
        ["evaluate.gates={auc: '>= 0.9'}"],
        ["no such metric", "did you mean 'roc_auc'"],
    ),
    "impure": (_nothing, ["data.name=${now:%S}"], ["data.name", "now"]),
    "no interpolation": (_nothing, ["data.name=${nowhere.x}"], ["nowhere.x"]),
    "time split by text": (
        _nothing,
        ["data.split={kind: time, column: city}"],
        ["'city'", "no dates"],
    ),
    "impure in a file": (
        _write("conf/deploy/http.yaml", b"# the service\nname: ${now:%S}\n"),
        [],
        ["conf/deploy/http.yaml:2:7", "deploy.name", "now"],
    ),
    "no option": (_nothing, ["model=lightgmb"], ["| model=lightgmb", "'lightgbm'"]),
    "config not utf-8": (
        _write("conf/deploy/http.yaml", b"# the service\nname: caf\xe9\n"),
        [],
        ["conf/deploy/http.yaml:2:10", "UTF-8"],
    ),
    "bad yaml": (
        _write("conf/data/shop.yaml", b"name: shop\ntarget: [a\ntask: binary\n"),
        [],
        ["shop.yaml:2:9", "this [ is not closed"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_compile_refuses(project: Path, name: str) -> None:
    before, overrides, says = CASES[name]
    good(project, "compile")
    lock = (project / "plan.lock.json").read_bytes()
    before(project)
    answer = mlops(project, "compile", *overrides)
    assert answer.code == 3, answer.err
    assert answer.out == ""
    for text in says:
        assert text in answer.err
    assert (project / "plan.lock.json").read_bytes() == lock
    assert not stored(project)


def test_run_refuses_before_anything_runs(project: Path) -> None:
    answer = mlops(project, "run", "data.target=agee")
    assert answer.code == 3 and "no column 'agee'" in answer.err
    assert not stored(project)


def test_every_problem_at_once(project: Path) -> None:
    wrong = ["seed=-1", "data.tsk=x", "model.params.n_leaves=3", "deploy.max_records=0"]
    answer = mlops(project, "compile", *wrong)
    assert answer.code == 3
    assert answer.err.count("error[MC") == 4
    for text in wrong:
        assert f"| {text}\n" in answer.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "usage"),
        (("frobnicate",), "no verb 'frobnicate'"),
        (("complie",), "did you mean 'compile'"),
        (("compile", "--frob"), "--frob"),
        (("compile", "-m", "--emit", "spec", "seed=1,2"), "--emit"),
        (("compile", "--config-name"), "--config-name"),
        (("run", "--plan", "x.json", "seed=3"), "seed=3"),
        (("run", "--plan", "x.json", "--locked"), "--locked"),
        (("init",), "DIR"),
        (("bundle", "x"), "-o"),
        (("serve",), "required: model\n"),
    ],
)
def test_usage(project: Path, words: tuple[str, ...], says: str) -> None:
    answer = mlops(project, *words)
    assert answer.code == 2
    assert says in answer.err and answer.out == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: len(text) // 2], "not whole JSON"),
        (lambda text: "", "not whole JSON"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2"),
        (lambda text: text.replace('"format": 1', '"format": "1"'), "no known format"),
        (lambda text: text.replace('"digest": "', '"digest": "z'), "sources.data.digest"),
        (lambda text: text.replace('"kind": "train"', '"kind": "tarin"'), "'tarin'"),
        (lambda text: text.replace('"pandas": "', '"pandas": "0.'), "pandas 0."),
        (lambda text: text.replace('"split.test"', '"split.tset"'), "tset"),
    ],
)
def test_a_broken_lock(project: Path, change: Callable[[str], str], says: str) -> None:
    good(project, "compile")
    text = (project / "plan.lock.json").read_text()
    broken = change(text)
    assert broken != text
    (project / "broken.json").write_text(broken)
    answer = mlops(project, "run", "--plan", "broken.json")
    assert answer.code == 3
    assert says in answer.err
    assert not stored(project)


def test_a_lock_with_another_digest_is_refused(project: Path) -> None:
    """Neither the file nor a snapshot is what such a lock names."""
    good(project, "compile")
    text = (project / "plan.lock.json").read_text()
    head, _, tail = text.partition('"digest": "')
    other = "0" if tail[0] != "0" else "1"
    (project / "other.json").write_text(f'{head}"digest": "{other}{tail[1:]}')
    answer = mlops(project, "run", "--plan", "other.json")
    assert answer.code == 3 and "rows.csv is not what was locked" in answer.err
    assert not stored(project)


def test_a_gate_that_is_not_met(project: Path) -> None:
    words = ("run", "--json", *SMALL, "evaluate.gates={roc_auc: '>= 0.999', accuracy: '>= 1'}")
    answer = mlops(project, *words)
    assert answer.code == 6
    assert answer.err.count("the gate is not met") == 2
    document = answer.document
    assert document["status"] == "failed" and document["bundle"] is None
    assert {step["name"]: step["status"] for step in document["steps"]}["package"] == "failed"
    assert document["metrics"]["test"]["roc_auc"] < 0.999
    # Nothing was recorded for it: the same again fails the same way, and a gate that is met passes.
    assert mlops(project, *words).code == 6
    low = "evaluate.gates={roc_auc: '>= 0.1'}"
    assert good(project, "run", "--json", *SMALL, low).document["bundle"]


def test_a_step_that_fails(project: Path) -> None:
    """Targets of a gamma objective are above 0: only LightGBM itself looks at the rows."""
    (project / "rows.csv").write_text("a,y\n" + "".join(f"{n},{n % 5}\n" for n in range(80)))
    words = ("data.target=y", "data.task=regression", "model.params.objective=gamma")
    answer = mlops(project, "run", "--json", "data.split.kind=random", *words)
    assert answer.code == 5
    assert "model.params.objective" in answer.err and "gamma" in answer.err
    statuses = {step["name"]: step["status"] for step in answer.document["steps"]}
    assert statuses["train"] == "failed" and statuses["package"] == "skipped"


def test_infinite_values_are_named(project: Path) -> None:
    text = rows().replace("\n", "\n1e999,Oslo,true,2020-01-01 10:00:00,3,yes\n", 1)
    (project / "rows.csv").write_text(text)
    answer = mlops(project, "run", "--json")
    assert answer.code == 5
    assert "data.columns.age" in answer.err and "row 1" in answer.err
    statuses = [step["status"] for step in answer.document["steps"]]
    assert statuses == ["ran", "failed", *["skipped"] * 6]


def test_a_store_that_cannot_be(project: Path) -> None:
    (project / "taken").write_text("a file")
    answer = mlops(project, "run", "store.uri=taken", *SMALL)
    assert answer.code == 3 and "taken" in answer.err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"kind": "random"', '"kind": "zzz"', "data.split.kind"),
        ('"num_leaves": 31', '"num_leaves": "abc"', "model.params.num_leaves"),
        ('"num_leaves": 31', '"output_model": "x"', "model.params.output_model"),
        ('"amount": "numeric"', '"amont": "numeric"', "contract"),
        ('"age": "float64?"', '"age": "string?"', "contract"),
        ('"seed": 0', '"seed": 3', "seed"),
        ('"task": "binary"', '"task": "multiclass"', "contract"),
        ('"test_size": 0.25', '"test_size": 1.25', "data.split.test_size"),
        ('"kind": "csv",\n   "loc', '"kind": "sklearn",\n   "loc', "sources.data.kind"),
    ],
)
def test_an_edited_lock_is_refused(project: Path, old: str, new: str, says: str) -> None:
    good(project, "compile")
    text = (project / "plan.lock.json").read_text()
    assert old in text
    (project / "edited.json").write_text(text.replace(old, new, 1))
    answer = mlops(project, "run", "--plan", "edited.json")
    assert answer.code == 3, answer.err
    assert says in answer.err and "a lock is made, not edited" in answer.err
    assert not stored(project)


def test_a_lock_with_other_classes_makes_no_bundle(project: Path) -> None:
    """Which classes there are is known once the data is read."""
    good(project, "compile", *SMALL)
    text = (project / "plan.lock.json").read_text()
    (project / "edited.json").write_text(text.replace('"no",', '"never",', 1))
    answer = mlops(project, "run", "--plan", "edited.json", "--json")
    assert answer.code == 5 and "other classes" in answer.err
    assert answer.document["bundle"] is None


def test_a_bundled_set_that_is_not_the_locked_one(tmp_path: Path) -> None:
    good(tmp_path, "compile", *SMALL)
    text = (tmp_path / "plan.lock.json").read_text()
    head, _, tail = text.partition('"digest": "')
    (tmp_path / "edited.json").write_text(f'{head}"digest": "{"0" * 64}{tail[64:]}')
    answer = mlops(tmp_path, "run", "--plan", "edited.json")
    assert answer.code == 3 and "is not what was locked" in answer.err
    assert not stored(tmp_path)


def test_a_full_disk_is_said_and_leaves_the_store_whole(project: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        answer = mlops(project, "run", f"store.uri={disk}", *SMALL)
        assert answer.code == 7, answer.err
        assert "No space left" in answer.err and "help:" in answer.err
        for blob in (path for path in disk.rglob("blobs/*/*") if path.is_file()):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_who_reads_an_answer_may_go_away(tmp_path: Path) -> None:
    """As `mlops-compile config --help | head -1` does."""
    project = make(tmp_path / "project")
    for words in (("config", "--help"), ("config", "--cfg", "all")):
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "mlops_compile", *words]
        done = subprocess.run(
            command,
            cwd=project,
            env=package_environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        os.close(writing)
        assert done.stderr == ""
