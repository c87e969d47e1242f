"""The same lock gives the same bytes: built twice in different processes with all around varied."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.project import make, package_environment

BAGGING = ("model.params.bagging_freq=1", "model.params.bagging_fraction=0.7")
EARLY = ("model.params.early_stopping_round=3", "data.split.validation_size=0.2")
DATES = "data.split={kind: time, column: since}"
# group: name: (what `make` is told, or the bundled set's name; overrides)
_QUICK = "linear"  # the group that is built with the quick tests, too
CASES: dict[str, dict[str, tuple[dict | str, tuple[str, ...]]]] = {
    "lightgbm": {
        "binary": ({"split": "stratified"}, ("model.params.num_iterations=20", *BAGGING)),
        "multiclass": ({"task": "multiclass"}, ("model.params.num_iterations=8", *EARLY)),
        "regression, gz": (
            {"task": "regression", "zipped": True},
            ("model.params.num_iterations=20", "model.params.extra_trees=true", *BAGGING),
        ),
        "goss": (
            {"task": "regression"},
            ("model.params.num_iterations=20", "model.params.data_sample_strategy=goss"),
        ),
        "by time": ({}, ("model.params.num_iterations=5", DATES)),
    },
    "linear": {
        "logistic_regression binary": ({"model": "logistic_regression"}, ()),
        "logistic_regression multiclass": (
            {"model": "logistic_regression", "task": "multiclass", "split": "stratified"},
            ("prepare.categorical=[{ordinal: {}}, impute]",),
        ),
        "logistic_regression saga": (
            {"model": "logistic_regression"},
            ("model.params.solver=saga", "model.params.l1_ratio=0.5", "model.params.max_iter=50"),
        ),
        "ridge": ({"model": "ridge", "task": "regression", "zipped": True}, ()),
        "ridge by time": ({"model": "ridge", "task": "regression"}, (DATES,)),
    },
    "prepared": {
        "robust": ({"model": "logistic_regression"}, ("prepare=robust",)),
        "target encoding": (
            {"model": "logistic_regression", "task": "multiclass", "split": "stratified"},
            ("prepare=target_encoded", "prepare.numeric=[{bins: {}}, impute]"),
        ),
        "ranks": ({"model": "ridge", "task": "regression"}, ("prepare=normal",)),
        "derived": (
            {"task": "regression"},
            (
                "model.params.num_iterations=5",
                "prepare.derive={share: {ratio: [amount, age]}, more: {sum: [share, age]}}",
                'prepare.rows=["age > 20"]',
                "prepare.columns={amount: [drop], city: [{hashed: {buckets: 3}}, category]}",
            ),
        ),
    },
    "bundled": {
        "binary": ("breast_cancer", ("model.params.num_iterations=10",)),
        "multiclass": ("wine", ("model=logistic_regression",)),
        "digits": ("digits", ("model.params.num_iterations=2",)),
        "regression": ("diabetes", ("model=ridge",)),
        "iris": ("iris", ("model.params.num_iterations=5", "experiment=quick")),
    },
}


def _plain(directory: Path, source: dict | str) -> Path:
    """A project as it comes."""
    directory.mkdir(parents=True)
    return make(directory / "project", **source) if isinstance(source, dict) else directory


def _varied(directory: Path, source: dict | str) -> Path:
    """The same elsewhere, its files made in another order, at other times, with other modes."""
    first = _plain(directory / "first", source)
    second = directory / "a place with spaces, é" / "deep"
    second.mkdir(parents=True)
    for file in sorted((path for path in first.rglob("*") if path.is_file()), reverse=True):
        target = second / file.relative_to(first)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        os.utime(target, (86_400, 86_400))
        target.chmod(0o600)
    return second


ONE = {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
OTHER = {
    "PYTHONHASHSEED": "4242",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "HOME": "/nonexistent",
    "COLUMNS": "40",
}


# Several command lines one after another in one process: what each says on stdout, as JSON.
PROGRAM = """
import contextlib, io, json, os, sys
from mlops_compile.cli.main import run
said = []
for directory, words in json.load(sys.stdin):
    os.chdir(directory)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = run(words)
    said.append([code, out.getvalue()])
json.dump(said, sys.stdout)
"""


def _said(
    commands: Sequence[tuple[Path, Sequence[str]]], env: Mapping[str, str], umask: int
) -> list[str]:
    """What commands say in one process of this environment; each must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([(str(place), list(words)) for place, words in commands]),
        env=package_environment(env),
        umask=umask,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [code for code, _ in answers] == [0] * len(commands), done.stderr
    return [out for _, out in answers]


def _made(project: Path, document: dict) -> dict:
    """Everything that a run made: the lock's bytes, every output's digest, the bundle's bytes."""
    directory = project / document["directory"]
    bundle = project / document["bundle"]["path"]
    made: dict = {
        f"{step['name']}.{port}": digest["digest"]
        for step in document["steps"]
        for port, digest in step["outputs"].items()
    }
    made["lock"] = (directory / "plan.lock.json").read_bytes()
    made["metrics"] = (directory / "metrics.json").read_bytes()
    bundle = directory / "bundle"
    for file in sorted(path for path in bundle.rglob("*") if path.is_file()):
        made[f"bundle/{file.relative_to(bundle)}"] = file.read_bytes()
    return made


@pytest.mark.parametrize(
    "group",
    [pytest.param(name, marks=() if name == _QUICK else pytest.mark.slow) for name in CASES],
)
def test_built_twice(tmp_path: Path, group: str) -> None:
    """The other process builds in the other order: nor does it matter what was built before."""
    built = []
    for place, env, umask, threads in ((_plain, ONE, 0o022, 1), (_varied, OTHER, 0o077, 2)):
        commands = []
        for name, (source, words) in CASES[group].items():
            project = place(tmp_path / place.__name__ / name.replace(" ", "-"), source)
            chosen = () if isinstance(source, dict) else (f"data={source}",)
            always = ("run", "--json", f"execution.threads={threads}")
            commands.append((project, (*always, *chosen, *words)))
        if place is _varied:
            commands.reverse()
        said = _said(commands, env, umask)
        made = [
            _made(project, json.loads(out))
            for (project, _), out in zip(commands, said, strict=True)
        ]
        built.append(made[::-1] if place is _varied else made)
    for name, one, other in zip(CASES[group], *built, strict=True):
        assert list(one) == list(other), name
        for part, bytes_ in one.items():
            assert bytes_ == other[part], f"{name}: {part} is the first that differs"


def test_compiled_twice(tmp_path: Path) -> None:
    """The lock's bytes, with the override's order and the file's name in another order too."""
    source, _ = CASES["linear"]["ridge"]
    one, other = _plain(tmp_path / "one", source), _varied(tmp_path / "other", source)
    _said([(one, ("compile", "seed=3", "model.params.alpha=2"))], ONE, 0o022)
    _said([(other, ("compile", "model.params.alpha=2.0", "seed=3"))], OTHER, 0o077)
    first, second = (place / "plan.lock.json" for place in (one, other))
    assert first.read_bytes() == second.read_bytes()
    assert not stat.S_IMODE(first.stat().st_mode) & 0o111
