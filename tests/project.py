"""Small projects on disk, and the command line run on them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra

import mlops_compile
from mlops_compile.cli.main import run

CONFIG = """\
defaults:
  - data: {data}
  - prepare: auto
  - model: {model}
  - evaluate: default
  - deploy: http
  - store: local
  - execution: local
  - _self_
  - experiment: null
seed: 0
# A version is never collected, which most tests do not want.
registry: {{register: false}}
"""
DATA = """\
# The rows of a small shop.
name: shop
target: {target}
task: {task}
source:
  kind: csv
  path: {path}
  options: {{}}
split:
  kind: {split}
  test_size: 0.25
  validation_size: 0.0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout, which holds nothing else."""
        found = json.loads(self.out)
        assert found["format"] == 1
        return found


def package_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment, in which other processes import the same mlops_compile."""
    place = str(Path(mlops_compile.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": place, **(extra or {})}


def mlops(directory: Path, *words: str) -> Answer:
    """Run the command line in a directory, in this process: what it imports is there already."""
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(directory)
    GlobalHydra.instance().clear()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
    finally:
        os.chdir(before)
        GlobalHydra.instance().clear()
    return _answer(code, out.getvalue(), err.getvalue())


def apart(directory: Path, *words: str, env: Mapping[str, str] | None = None) -> Answer:
    """The same in a process of its own, as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "mlops_compile", *words],
        cwd=directory,
        env=package_environment(env),
        capture_output=True,
        text=True,
        timeout=300,
    )
    return _answer(done.returncode, done.stdout, done.stderr)


def _answer(code: int, out: str, err: str) -> Answer:
    assert "Traceback" not in err, err
    return Answer(code=code, out=out, err=err)


def good(directory: Path, *words: str, how: Callable[..., Answer] = mlops) -> Answer:
    """The answer of a command that must succeed."""
    answer = how(directory, *words)
    assert answer.code == 0, answer.err + answer.out
    return answer


def rows(task: str = "binary", count: int = 240) -> str:
    """A csv text with every type of column, and missing cells."""
    draw = random.Random(3)
    lines = ["age,city,member,since,amount,target"]
    for number in range(count):
        age = draw.uniform(18, 90)
        city = draw.choice(["Oslo", "Rome", "Lyon", ""])
        member = draw.choice(["true", "false"])
        since = (
            f"2020-{draw.randint(1, 12):02}-{draw.randint(1, 28):02} 10:{draw.randint(0, 59):02}:00"
        )
        amount = draw.gauss(100, 30)
        score = age / 20 + (city == "Rome") * 2 + amount / 50 + draw.gauss(0, 1)
        target = {
            "binary": "yes" if score > 5 else "no",
            "multiclass": "abc"[min(2, int(score / 3))],
            "regression": f"{score:.3f}",
        }[task]
        cells = ("" if number % 11 == 0 else f"{age:.1f}", city, member, since, f"{amount:.2f}")
        lines.append(",".join([*cells, target]))
    return "\n".join(lines) + "\n"


def make(
    directory: Path,
    *,
    task: str = "binary",
    model: str = "lightgbm",
    split: str = "random",
    zipped: bool = False,
    search: bool = False,
) -> Path:
    """A project around a small csv file; with `search`, its defaults list names that group."""
    path = "rows.csv.gz" if zipped else "rows.csv"
    (directory / "conf" / "data").mkdir(parents=True)
    config = CONFIG.format(data="shop", model=model)
    if search:
        config = config.replace("  - evaluate:", "  - search: none\n  - evaluate:")
    (directory / "conf" / "config.yaml").write_text(config, "utf-8")
    data = DATA.format(target="target", task=task, path=path, split=split)
    (directory / "conf" / "data" / "shop.yaml").write_text(data, "utf-8")
    text = rows(task).encode()
    (directory / path).write_bytes(gzip.compress(text, mtime=0) if zipped else text)
    return directory


def stored(directory: Path) -> dict[str, bytes]:
    """Every blob and action of a project's store, by path."""
    root = directory / ".mlops" / "store"
    files = (path for name in ("blobs", "actions") for path in (root / name).rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.is_file()}


SMALL = ("model.params.num_iterations=5",)
