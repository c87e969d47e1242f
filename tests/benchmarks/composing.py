"""Rows of composing and compiling, beside a bare Hydra app on the same conf."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlops_compile.ir.resources import resource
from tests.benchmarks.pairs import Command, Pair, Row, compare, environment

BARE = """
import hydra


@hydra.main(version_base="1.3", config_path={conf!r}, config_name="config")
def main(config):
    pass


main()
"""


def _ours(directory: Path, *words: str, before: Callable[[], None] = lambda: None) -> Command:
    command = (sys.executable, "-m", "mlops_compile", *words)
    return Command(words=command, directory=directory, environment=environment(), before=before)


def bare(directory: Path) -> Command:
    """A bare Hydra app on a copy of the same conf, which does nothing."""
    conf = directory / "bare_conf"
    shutil.copytree(resource("conf"), conf)
    app = directory / "bare.py"
    app.write_text(BARE.format(conf=str(conf)), "utf-8")
    words = (sys.executable, str(app), "hydra.run.dir=.", "hydra.output_subdir=null")
    return Command(words=words, directory=directory, environment=environment())


def compile_one(directory: Path, runs: int) -> Pair:
    """A compile of the built-in config whose source is pinned already."""
    return compare(_ours(directory, "compile"), bare(directory), runs)


def run_cached(directory: Path, runs: int) -> Pair:
    """A run of which every step is a hit."""
    ours = _ours(directory, "run", "--quiet", "model.params.num_iterations=5")
    return compare(ours, bare(directory), runs)


def compile_cold(directory: Path, runs: int) -> Pair:
    """The first compile of a csv file of 32,000 rows and 15 columns."""
    draw = random.Random(1)
    rows = [",".join([*(f"n{n}" for n in range(10)), *(f"c{n}" for n in range(4)), "y"])]
    for _ in range(32_000):
        numbers = (f"{draw.gauss(0, 100):.3f}" for _ in range(10))
        levels = (draw.choice("abcdefgh") for _ in range(4))
        rows.append(",".join([*numbers, *levels, draw.choice(["no", "yes"])]))
    (directory / "rows.csv").write_text("\n".join(rows) + "\n", "utf-8")
    words = ("data=csv", "data.name=rows", "data.target=y", "data.task=binary")
    ours = _ours(
        directory,
        *("compile", *words, "data.source.path=rows.csv"),
        before=lambda: shutil.rmtree(directory / ".mlops", ignore_errors=True),
    )
    return compare(ours, bare(directory), runs)


def many_problems(directory: Path, runs: int) -> Pair:
    """A compile that finds a hundred problems in files of conf/, beside one that finds none."""
    good, wrong = directory / "good", directory / "wrong"
    for project in (good, wrong):
        shutil.copytree(resource("conf"), project / "conf")
    params = "".join(f"  lerning_rate{n}: {n}\n" for n in range(50))
    (wrong / "conf" / "model" / "lightgbm.yaml").write_text(
        f"family: lightgbm\nparams:\n{params}", "utf-8"
    )
    lists = "".join(f"  column{n}: [scael]\n" for n in range(50))
    (wrong / "conf" / "prepare" / "auto.yaml").write_text(f"columns:\n{lists}", "utf-8")
    ours = replace(_ours(wrong, "compile"), code=3)
    return compare(ours, _ours(good, "compile"), runs)


def one_tab(directory: Path, runs: int) -> Pair:
    """What a shell waits for after `data.split.<Tab>`."""
    ours = _ours(directory, "-sc", "query=bash")
    line = {"COMP_LINE": "mlops-compile run data.split.", "COMP_POINT": "29"}
    peer = bare(directory)
    words = (*peer.words[:2], "-sc", "query=bash")
    app = {"COMP_LINE": "python bare.py data.split.", "COMP_POINT": "26"}
    return compare(
        replace(ours, environment={**ours.environment, **line}),
        replace(bare, words=words, environment={**bare.environment, **app}),
        runs,
    )


_BARE = "bare `@hydra.main` app, same conf"
_GOOD = "compile of a good config, same files"
ROWS = (
    Row("compile-one", "compile one plan", _BARE, "<= 1.4", compile_one),
    Row("compile-cold", "compile, csv of 32,000 x 15 seen first", _BARE, "-", compile_cold),
    Row("one-tab", "completion, one Tab", "completion of that app", "<= 1.2", one_tab),
    Row("many-problems", "compile, 100 problems found", _GOOD, "<= + 0.3 s", many_problems),
    Row("run-cached", "run, everything cached, 8 steps", _BARE, "-", run_cached),
)
