"""Runs the benchmarks and prints a table: `python -m tests.benchmarks [NAME ...] [--runs N]`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import mlops_compile
from mlops_compile.ir.resources import resource
from tests.benchmarks.pairs import Command, Pair, compare

_NO_CACHE = ("PYTHONDONTWRITEBYTECODE",)
BARE = """
import hydra


@hydra.main(version_base="1.3", config_path={conf!r}, config_name="config")
def main(config):
    pass


main()
"""


def main() -> None:
    """Measure the named rows, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=15, help="pairs a row (15)")
    options = parser.parse_args()
    print("| work | peer | this project | peer's | ratio (range) | target |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.names or ROWS:
        with tempfile.TemporaryDirectory() as directory:
            work, peer, target, row = ROWS[name]
            found = row(Path(directory), options.runs)
            ratio = f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})"
            cells = (work, peer, f"{found.ours:.3f} s", f"{found.peer:.3f} s", ratio, target)
            print(f"| {' | '.join(cells)} |", flush=True)


def _environment() -> Mapping[str, str]:
    """This environment, in which other processes import the same mlops_compile, compiled once as
    installed packages are."""
    place = str(Path(mlops_compile.__file__).resolve().parent.parent)
    cached = {name: text for name, text in os.environ.items() if name not in _NO_CACHE}
    return {**cached, "PYTHONPATH": place}


def _ours(directory: Path, *words: str, before: Callable[[], None] = lambda: None) -> Command:
    command = (sys.executable, "-m", "mlops_compile", *words)
    return Command(words=command, directory=directory, environment=_environment(), before=before)


def _bare(directory: Path) -> Command:
    """A bare Hydra app on a copy of the same conf, which does nothing."""
    conf = directory / "bare_conf"
    shutil.copytree(resource("conf"), conf)
    app = directory / "bare.py"
    app.write_text(BARE.format(conf=str(conf)), "utf-8")
    words = (sys.executable, str(app), "hydra.run.dir=.", "hydra.output_subdir=null")
    return Command(words=words, directory=directory, environment=_environment())


def compile_one(directory: Path, runs: int) -> Pair:
    """A compile of the built-in config whose source is pinned already."""
    return compare(_ours(directory, "compile"), _bare(directory), runs)


def run_cached(directory: Path, runs: int) -> Pair:
    """A run of which every step is a hit."""
    ours = _ours(directory, "run", "--quiet", "model.params.num_iterations=5")
    return compare(ours, _bare(directory), runs)


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
    return compare(ours, _bare(directory), runs)


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
    bare = _bare(directory)
    words = (*bare.words[:2], "-sc", "query=bash")
    app = {"COMP_LINE": "python bare.py data.split.", "COMP_POINT": "26"}
    return compare(
        replace(ours, environment={**ours.environment, **line}),
        replace(bare, words=words, environment={**bare.environment, **app}),
        runs,
    )


ROWS: Mapping[str, tuple[str, str, str, Callable[[Path, int], Pair]]] = {
    "compile-one": ("compile one plan", "bare `@hydra.main` app, same conf", "<= 1.4", compile_one),
    "compile-cold": ("compile, csv of 32,000 x 15 seen first", "the same", "-", compile_cold),
    "one-tab": ("completion, one Tab", "completion of a bare app, same conf", "<= 1.2", one_tab),
    "many-problems": (
        *("compile, 100 problems found", "compile of a good config, same files", "<= + 0.3 s"),
        many_problems,
    ),
    "run-cached": ("run, everything cached, 7 steps", "the same", "-", run_cached),
}


if __name__ == "__main__":
    main()
