"""Rows of sweeps: planning many points, beside Hydra's own launcher on the same conf."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mlops_compile.ir.resources import resource as built_in
from tests.benchmarks.composing import BARE
from tests.benchmarks.pairs import Command, Pair, Row, compare, environment

_100 = ("seed=range(0,10)", "model.params.num_leaves=range(2,12)")
_1000 = (*_100, "model.params.learning_rate=range(0.01,0.11,0.01)")
_10000 = (*_1000, "model.params.min_child_samples=range(1,11)")


def _ours(directory: Path, *words: str) -> Command:
    command = (sys.executable, "-m", "mlops_compile", "compile", "-m", *words)
    return Command(words=command, directory=directory, environment=environment())


def plan_100(directory: Path, runs: int) -> Pair:
    """A dry run of 100 points, beside Hydra's basic launcher with a task that does nothing."""
    conf = directory / "bare_conf"
    shutil.copytree(built_in("conf"), conf)
    app = directory / "bare.py"
    app.write_text(BARE.format(conf=str(conf)), "utf-8")
    words = (sys.executable, str(app), "-m", *_100, "hydra.sweep.dir=bare")
    quiet = ("hydra.output_subdir=null", "hydra/job_logging=disabled", "hydra.sweep.subdir=.")
    bare = Command(words=(*words, *quiet), directory=directory, environment=environment())
    return compare(_ours(directory, *_100), bare, min(runs, 3))


def plan_10000(directory: Path, runs: int) -> str:
    """Seconds and processor time of a point, and the most memory, at 1,000 and 10,000 points."""
    cells = []
    _ours(directory, "seed=1").seconds()
    for count, words in ((1_000, _1000), (10_000, _10000)):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = _ours(directory, *words)
        done = subprocess.run(
            command.words, cwd=directory, env=dict(command.environment), capture_output=True
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, list(command.words))
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        each, cpu = seconds / count * 1e3, work / count * 1e3
        memory = after.ru_maxrss / 1024
        size = (directory / "plan.lock.json").stat().st_size / 2**20
        cells.append(
            f"{count:,}: {each:.2f} ms a point (processor {cpu:.2f}), {memory:.0f} MiB,"
            f" lock of {size:.1f} MiB"
        )
    return "; ".join(cells)


_HYDRA = "Hydra's basic launcher, a task that does nothing"
ROWS = (
    Row("plan-100", "plan a sweep of 100 points", _HYDRA, "<= 0.05", plan_100),
    Row("plan-10000", "plan 10,000 points", "-", "linear, <= 2 ms, <= 1 GiB", plan_10000),
)
