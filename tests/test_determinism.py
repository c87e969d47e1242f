"""The same lock gives the same bytes: built twice in different processes with all around varied."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.project import good, make

BAGGING = ("model.params.bagging_freq=1", "model.params.bagging_fraction=0.7")
EARLY = ("model.params.early_stopping_round=3", "data.split.validation_size=0.2")
DATES = "data.split={kind: time, column: since}"
# name: (what `make` is told, or the bundled set's name; overrides)
CASES: dict[str, tuple[dict | str, tuple[str, ...]]] = {
    "lightgbm binary": ({"split": "stratified"}, ("model.params.num_iterations=20", *BAGGING)),
    "lightgbm multiclass": ({"task": "multiclass"}, ("model.params.num_iterations=8", *EARLY)),
    "lightgbm regression, gz": (
        {"task": "regression", "zipped": True},
        ("model.params.num_iterations=20", "model.params.extra_trees=true", *BAGGING),
    ),
    "lightgbm goss": (
        {"task": "regression"},
        ("model.params.num_iterations=20", "model.params.data_sample_strategy=goss"),
    ),
    "lightgbm by time": ({}, ("model.params.num_iterations=5", DATES)),
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
    "bundled binary": ("breast_cancer", ("model.params.num_iterations=10",)),
    "bundled multiclass": ("wine", ("model=logistic_regression",)),
    "bundled digits": ("digits", ("model.params.num_iterations=2",)),
    "bundled regression": ("diabetes", ("model=ridge",)),
    "bundled iris": ("iris", ("model.params.num_iterations=5", "experiment=quick")),
}


def _plain(directory: Path, name: str) -> Path:
    """A project as it comes."""
    source, _ = CASES[name]
    directory.mkdir(parents=True)
    return make(directory / "project", **source) if isinstance(source, dict) else directory


def _varied(directory: Path, name: str) -> Path:
    """The same elsewhere, its files made in another order, at other times, with other modes."""
    first = _plain(directory / "first", name)
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


def _build(project: Path, words: tuple[str, ...], env: dict[str, str], umask: int) -> dict:
    """Everything that a run made: the lock's bytes, every output's digest, the bundle's bytes."""
    before = os.umask(umask)
    try:
        document = good(project, "run", "--json", *words, env=env).document
    finally:
        os.umask(before)
    directory = project / document["directory"]
    bundle = project / document["bundle"]["path"]
    made: dict = {
        f"{step['name']}.{port}": digest["digest"]
        for step in document["steps"]
        for port, digest in step["outputs"].items()
    }
    made["lock"] = (directory / "plan.lock.json").read_bytes()
    made["metrics"] = (directory / "metrics.json").read_bytes()
    for file in sorted(bundle.rglob("*")):
        made[f"bundle/{file.name}"] = file.read_bytes()
    return made


@pytest.mark.parametrize("name", CASES)
def test_built_twice(tmp_path: Path, name: str) -> None:
    source, words = CASES[name]
    words = (f"data={source}", *words) if isinstance(source, str) else words
    one = _build(_plain(tmp_path / "one", name), (*words, "execution.threads=1"), ONE, 0o022)
    other = _build(_varied(tmp_path / "other", name), (*words, "execution.threads=2"), OTHER, 0o077)
    assert list(one) == list(other)
    for part, made in one.items():
        assert made == other[part], f"{part} is the first that differs"


def test_compiled_twice(tmp_path: Path) -> None:
    """The lock's bytes, with the override's order and the file's name in another order too."""
    one, other = _plain(tmp_path / "one", "ridge"), _varied(tmp_path / "other", "ridge")
    good(one, "compile", "seed=3", "model.params.alpha=2", env=ONE)
    good(other, "compile", "model.params.alpha=2.0", "seed=3", env=OTHER)
    first, second = (place / "plan.lock.json" for place in (one, other))
    assert first.read_bytes() == second.read_bytes()
    assert not stat.S_IMODE(first.stat().st_mode) & 0o111
