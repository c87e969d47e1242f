"""What is imported, and when: compiling and a run of nothing but hits stay light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.project import SMALL, good, make, package_environment

HEAVY = ("pandas", "sklearn", "lightgbm", "optuna", "scipy", "matplotlib")
PROGRAM = """
import json, sys
from mlops_compile.cli.main import run
watched, *commands = json.load(sys.stdin)
for words in commands:
    code = run(words)
    loaded = [name for name in watched if name in sys.modules]
    print("loaded by", *words, code, loaded, file=sys.stderr)
"""
# What looks at the data, and what need not look again.
LOOKING = (
    ("compile",),
    ("compile", "--refresh"),
    ("compile", "model=ridge", "data.task=regression", "data.target=amount"),
)
COMPILING = (
    ("compile",),
    ("compile", "--locked"),
    ("compile", "--emit", "spec"),
    ("config", "--origins"),
    ("compile", "model=logistic_regression", "data.split.kind=stratified"),
)


def _check_loads_none(
    directory: Path, watched: tuple[str, ...], *commands: tuple[str, ...]
) -> None:
    """One process runs the commands in turn; each must succeed and load nothing watched."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([watched, *commands]),
        cwd=directory,
        env=package_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("loaded by ")]
    assert said == [f"loaded by {' '.join(words)} 0 []" for words in commands], done.stderr


def test_compiling_imports_nothing_heavy(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    _check_loads_none(project, HEAVY, *LOOKING)
    good(project, "compile")
    _check_loads_none(project, (*HEAVY, "numpy", "pyarrow"), *COMPILING)


def test_a_run_of_nothing_but_hits_imports_nothing_heavy(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    good(project, "run", *SMALL)
    _check_loads_none(project, (*HEAVY, "pyarrow", "numpy", "jinja2"), ("run", *SMALL))


def test_importing_the_package_imports_next_to_nothing() -> None:
    program = "import sys, mlops_compile; print([n for n in sys.argv[1:] if n in sys.modules])"
    command = [sys.executable, "-c", program, *HEAVY, "hydra", "omegaconf", "pyarrow", "rich"]
    done = subprocess.run(command, env=package_environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
