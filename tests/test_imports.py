"""What is imported, and when: compiling and a run of nothing but hits stay light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import SMALL, good, make, package_environment

HEAVY = ("pandas", "sklearn", "lightgbm", "optuna", "scipy")
PROGRAM = """
import sys
from mlops_compile.cli.main import run
code = run(sys.argv[2:])
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("loaded:", ",".join(loaded), file=sys.stderr)
sys.exit(code)
"""


def _loaded(directory: Path, watched: tuple[str, ...], *words: str) -> str:
    command = [sys.executable, "-c", PROGRAM, ",".join(watched), *words]
    env = package_environment()
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.rpartition("loaded: ")[2].strip()


@pytest.mark.parametrize(
    "words",
    [
        ("compile",),
        ("compile", "--refresh"),
        ("compile", "--locked"),
        ("compile", "--emit", "spec"),
        ("config", "--origins"),
        ("compile", "model=ridge", "data.task=regression", "data.target=amount"),
        ("compile", "model=logistic_regression", "data.split.kind=stratified"),
    ],
)
def test_compiling_imports_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    project = make(tmp_path / "project")
    assert _loaded(project, HEAVY, "compile") == ""  # the first look at the data, too
    assert (
        _loaded(project, (*HEAVY, "pyarrow" if "--refresh" not in words else "-"), "compile") == ""
    )
    assert _loaded(project, HEAVY, *words) == ""


def test_a_run_of_nothing_but_hits_imports_nothing_heavy(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    good(project, "run", *SMALL)
    watched = (*HEAVY, "pyarrow", "numpy", "jinja2")
    assert _loaded(project, watched, "run", *SMALL) == ""


def test_importing_the_package_imports_next_to_nothing() -> None:
    program = "import sys, mlops_compile; print([n for n in sys.argv[1:] if n in sys.modules])"
    command = [sys.executable, "-c", program, *HEAVY, "hydra", "omegaconf", "pyarrow", "rich"]
    done = subprocess.run(command, env=package_environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
