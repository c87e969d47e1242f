"""Rows of the engine: cached runs beside dvc, the main job beside a script, a step's overhead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlops_compile as mc
from mlops_compile.ir.lock import encode
from tests.benchmarks.pairs import Command, Missing, Pair, Row, compare, environment
from tests.probe import PROBES, SOURCE, Probes, probe

_HERE = Path(__file__).resolve().parent
ADULT = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,"
    "sex,capital-gain,capital-loss,hours-per-week,native-country,income"
)
SCRIPT = """
import sys

import lightgbm
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

names = "{columns}".split(",")
frame = pd.read_csv(sys.argv[1], header=None, names=names, na_values="?", skipinitialspace=True)
y = (frame.pop("income") == ">50K").astype(int)
for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
    frame[name] = frame[name].astype("category")
x_train, x_test, y_train, y_test = train_test_split(frame, y, test_size=0.2, stratify=y)
params = dict(
    objective="binary", learning_rate=0.05, num_leaves=31, verbosity=-1,
    deterministic=True, force_col_wise=True,
)
model = lightgbm.train(params, lightgbm.Dataset(x_train, y_train), 200)
p = model.predict(x_test)
print(roc_auc_score(y_test, p), average_precision_score(y_test, p), log_loss(y_test, p),
      accuracy_score(y_test, p > 0.5), f1_score(y_test, p > 0.5), brier_score_loss(y_test, p))
"""


def dvc() -> Path:
    """The program of dvc, in an environment of its own that is kept for later runs."""
    home = Path(os.environ.get("MLOPS_PEERS", Path(tempfile.gettempdir()) / "mlops-peers")) / "dvc"
    program = home / "bin" / "dvc"
    if not program.exists():
        commands = (
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "dvc"],
        )
        for words in commands:
            if subprocess.run(words, capture_output=True).returncode:
                raise Missing("dvc cannot be installed here")
    return program


def dvc_repro(directory: Path, stages: int) -> Command:
    """`dvc repro` over stages that are all made: chains of eight side by side, each stage a copy of
    a small file and a line more."""
    place = directory / "dvc"
    place.mkdir()
    (place / "rows.csv").write_text("a\n1\n")
    lines = ["stages:"]
    for number in range(stages):
        before = "rows.csv" if number % 8 == 0 else f"out{number - 1}"
        lines += [
            f"  s{number}:",
            f"    cmd: cp {before} out{number}; echo {number} >> out{number}",
            f"    deps: [{before}]",
            f"    outs: [out{number}]",
        ]
        (place / f"out{number}").write_text(f"{(place / before).read_text()}{number}\n")
    (place / "dvc.yaml").write_text("\n".join(lines) + "\n")
    quiet = {**environment(), "DVC_NO_ANALYTICS": "1"}
    # What the commands would make is there: to commit it is to have run them.
    for words in (["init", "--no-scm", "--quiet"], ["commit", "--force", "--quiet"]):
        subprocess.run([dvc(), *words], cwd=place, env=quiet, check=True, capture_output=True)
    return Command(words=(str(dvc()), "repro"), directory=place, environment=quiet)


def cached_8(directory: Path, runs: int) -> Pair:
    """`run` of eight steps that are all made, beside `dvc repro` of eight."""
    words = (sys.executable, "-m", "mlops_compile", "run", "--quiet")
    ours = Command(words=words, directory=directory, environment=environment())
    return compare(ours, dvc_repro(directory, 8), runs)


def cached_1000(directory: Path, runs: int) -> Pair:
    """A run of 1,000 steps that are all made, from a lock file to its run directory."""
    with mc.Workers(2) as workers:
        probes = Probes(directory, workers)
        steps = [
            probe(f"s{n}", SOURCE if n % 8 == 0 else f"s{n - 1}", text=str(n)) for n in range(999)
        ]
        lock = probes.lock(*steps)
        assert probes.execute(lock).ok
    (directory / "plan.lock.json").write_text(encode(lock))
    root = str(_HERE.parent.parent)
    path = os.pathsep.join([environment()["PYTHONPATH"], root, str(PROBES)])
    ours = Command(
        words=(sys.executable, "-m", "tests.benchmarks.run_lock", "plan.lock.json"),
        directory=directory,
        environment={**environment(), "PYTHONPATH": path},
    )
    return compare(ours, dvc_repro(directory, 1000), min(runs, 5))


def adult(times: int) -> Path:
    """A file of the adult data's rows, so many times over. Missing where MLOPS_DATA is not set."""
    folder = os.environ.get("MLOPS_DATA")
    if not folder:
        raise Missing("MLOPS_DATA does not name a folder with adult-train.csv")
    rows = (Path(folder) / "adult-train.csv").read_text().rstrip() + "\n"
    file = Path(tempfile.mkdtemp()) / "adult.csv"
    file.write_text(rows * times)
    return file


def main_job(directory: Path, runs: int, times: int) -> Pair:
    """`run` from nothing, packaging included, beside a script that reads, trains and evaluates."""
    file = adult(times)
    made = [sys.executable, "-m", "mlops_compile", "init", "adult", "--data", str(file)]
    made += ["--target", "income", "--columns", ADULT]
    subprocess.run(made, cwd=directory, env=dict(environment()), check=True, capture_output=True)
    project = directory / "adult"
    script = directory / "script.py"
    script.write_text(SCRIPT.format(columns=ADULT))
    try:
        ours = Command(
            words=(sys.executable, "-m", "mlops_compile", "run", "--quiet"),
            directory=project,
            environment=environment(),
            before=lambda: shutil.rmtree(project / ".mlops", ignore_errors=True),
        )
        peer = replace(ours, words=(sys.executable, str(script), str(file)), before=lambda: None)
        return compare(ours, peer, runs)
    finally:
        shutil.rmtree(file.parent)


def fingerprint(directory: Path, runs: int) -> Pair:
    """The digest of a file of 2 GiB."""
    file = directory / "large"
    block = os.urandom(1 << 20)
    with file.open("wb") as writer:
        for _ in range(2048):
            writer.write(block)
    code = (
        "import sys; from pathlib import Path;"
        "from mlops_compile.steps.sources.kind import file_digest;"
        "print(file_digest(Path(sys.argv[1])))"
    )
    ours = Command(
        words=(sys.executable, "-c", code, str(file)),
        directory=directory,
        environment=environment(),
    )
    return compare(ours, replace(ours, words=("sha256sum", str(file))), min(runs, 5))


def _step_overhead(directory: Path, runs: int, *, chained: bool) -> str:
    """Milliseconds of a step beyond its own work on a warm worker: one after another in a chain, or
    side by side. A step's own work is what its worker measured."""
    count, found = 100, []
    with mc.Workers(2) as workers:
        probes = Probes(directory, workers)
        probes.run(probe("warm", SOURCE), probe("warmer", SOURCE, text="x"))
        for turn in range(runs):
            before = [f"s{n - 1}" if chained and n else SOURCE for n in range(count)]
            steps = [probe(f"s{n}", before[n], text=f"{turn} {n}") for n in range(count)]
            lock = probes.lock(*steps)
            start = time.perf_counter()
            record = probes.execute(lock)
            seconds = time.perf_counter() - start
            own = sum(result.seconds for result in record.results if result.step != SOURCE)
            found.append((seconds - own / (1 if chained else 2)) / count * 1000)
    found.sort()
    return f"{found[len(found) // 2]:.1f} ms ({found[0]:.1f} to {found[-1]:.1f})"


overhead_in_a_chain = partial(_step_overhead, chained=True)
overhead_side_by_side = partial(_step_overhead, chained=False)
_SCRIPT = "a plain script, through evaluate"
ROWS = (
    Row("cached-8", "run, all of 8 steps cached", "`dvc repro` of 8", "<= 1", cached_8),
    Row("cached-1000", "run, all of 1,000 cached", "`dvc repro` of 1,000", "<= 0.1", cached_1000),
    Row("main-job", "run on adult from nothing", _SCRIPT, "<= 2", partial(main_job, times=1)),
    Row("main-job-20", "on 20 x its rows", "the same", "<= 1.15", partial(main_job, times=20)),
    Row("fingerprint", "fingerprint of 2 GiB", "`sha256sum`", "<= 1.1", fingerprint),
    Row("step-chain", "a step beyond its work, in a chain", "-", "<= 5 ms", overhead_in_a_chain),
    Row("step-side", "a step beyond its work, side by side", "-", "<= 5 ms", overhead_side_by_side),
)
