"""Rows of diffs: two plans of 10,000 steps, and two configs beside a bare Hydra app."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from mlops_compile.ir.lock import Lock, decode
from mlops_compile.ir.plan import Plan, Step, in_order
from mlops_compile.ir.value import Map
from tests.benchmarks.composing import bare
from tests.benchmarks.pairs import Command, Pair, Row, compare, environment

_STEPS = 10_000
_FORMS = ("text", "markdown", "json")


def diff_configs(directory: Path, runs: int) -> Pair:
    """A diff of the built-in config and of it with another seed, beside one bare composition."""
    words = (sys.executable, "-m", "mlops_compile", "diff", "conf:", "conf:seed=2")
    ours = Command(words=words, directory=directory, environment=environment())
    return compare(ours, bare(directory), runs)


def diff_10000(directory: Path, runs: int) -> str:
    """Seconds and most memory of a process that compares two plans of 10,000 steps: of which one
    in a hundred differs, and of which nearly all do."""
    old = _lock(directory)
    cells = []
    for name, every in (("1 % differs", 100), ("all differ", 1)):
        new = _changed(old, every)
        for file, lock in (("old.json", old), ("new.json", new)):
            (directory / file).write_text(lock.text, "utf-8")
        told = [f"{form} {_seconds(directory, form, runs):.2f} s" for form in _FORMS]
        cells.append(f"{name}: {', '.join(told)}")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"{'; '.join(cells)}; {memory:.0f} MiB"


def _seconds(directory: Path, form: str, runs: int) -> float:
    words = ("diff", "old.json", "new.json", "--format", form)
    found = []
    for _ in range(min(runs, 3)):
        start = time.perf_counter()
        subprocess.run(
            (sys.executable, "-m", "mlops_compile", *words),
            cwd=directory,
            env=dict(environment()),
            check=True,
            capture_output=True,
        )
        found.append(time.perf_counter() - start)
    return sorted(found)[len(found) // 2]


def _lock(directory: Path) -> Lock:
    """The lock of the built-in config, with as many folds as it takes."""
    command = (sys.executable, "-m", "mlops_compile", "compile", "-o", "base.json")
    subprocess.run(command, cwd=directory, env=dict(environment()), check=True, capture_output=True)
    base = decode((directory / "base.json").read_text("utf-8"))
    steps = list(base.plan.steps)
    own = [base.plan[name] for name in ("prepare", "train", "evaluate")]
    number = 0
    while len(steps) < _STEPS:
        number += 1
        steps += [_in_fold(step, number) for step in own]
    return replace(base, plan=Plan(steps=in_order(tuple(steps[:_STEPS]))))


def _in_fold(step: Step, number: int) -> Step:
    """A step of a fold of its own, of the steps of that fold."""
    name = f"fold/{number}"
    inputs = tuple(
        (port, replace(ref, step=f"{name}/{ref.step}" if ref.step in _FOLDED else ref.step))
        for port, ref in step.inputs
    )
    return replace(step, name=f"{name}/{step.name}", inputs=inputs)


_FOLDED = ("prepare", "train", "evaluate")


def _changed(lock: Lock, every: int) -> Lock:
    """The same plan, in which some training steps have another number of leaves."""
    steps = []
    for number, step in enumerate(lock.plan.steps):
        if step.kind == "train" and number % every == 0:
            model = step.params["model"]
            assert isinstance(model, Map) and isinstance(model["params"], Map)
            params = Map({**model["params"], "num_leaves": 9})
            step = replace(step, params=Map({"model": Map({**model, "params": params})}))
        steps.append(step)
    return replace(lock, plan=Plan(steps=tuple(steps)))


ROWS = (
    Row("diff", "diff of two configs", "a bare Hydra app, once", "<= 2", diff_configs),
    Row("diff-10000", "diff of two plans of 10,000 steps", "-", "<= 2 s, <= 1 GiB", diff_10000),
)
