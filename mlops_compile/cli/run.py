"""`run`: compile and execute, into a directory of its own."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.api.ahead import Ahead
from mlops_compile.api.compiling import compile_config
from mlops_compile.api.locks import committed_lock, read_lock
from mlops_compile.api.registering import Place, name_of, place_of, prepare, register_run
from mlops_compile.api.running import failure, resources_of, run_and_write
from mlops_compile.api.state import State, state_of
from mlops_compile.cli.current import check_current
from mlops_compile.cli.documents import points_document, run_value
from mlops_compile.cli.front import Job, Multirun, run_hydra
from mlops_compile.cli.multirun import run_multirun, shown
from mlops_compile.cli.problems import say_problems
from mlops_compile.cli.show import metrics_table, observer, worst_levels
from mlops_compile.cli.trials import leaderboard
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.origins import places_of
from mlops_compile.compiler.verify import verify
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.criteria import primary_of
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import (
    CompileError,
    ProblemsError,
    StoreError,
    UsageError,
    problem,
)
from mlops_compile.ir.record import RunRecord
from mlops_compile.ir.value import Map, pretty
from mlops_compile.ir.version import Registered
from mlops_compile.steps.kinds import needs_of
from mlops_compile.steps.targets import target_of

_PLACES = (
    *("store.", "store=", "registry.", "registry=", "execution.", "execution="),
    *("hydra.", "hydra/"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job that was run: its record, or why there is none."""

    job: Job
    record: RunRecord | None = None
    bundle: Path | None = None
    registered: Registered | None = None
    error: ProblemsError | None = None
    text: str = ""


def run(call: Call) -> int:
    """Run one config, or all points of a multirun."""
    _check_usage(call)
    signal.signal(signal.SIGTERM, _interrupt)
    told: list[int] = []

    def together(multirun: Multirun) -> list[Done]:
        told.append(run_multirun(call, multirun))
        return []

    task = _Task(call)
    done = run_hydra(call.rest, task, inspect=False, together=together)
    for item in done if not call.options.json else ():
        print(item.text, end="", file=call.out)
    if call.options.json and done:
        print(_document(done), end="", file=call.out)
    return max((*told, *(_exit_code(item) for item in done)), default=0)


class _Task:
    """Runs a job. A launcher that has processes of its own gives it to them."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __reduce__(self) -> tuple[type[_Elsewhere], tuple[Namespace, tuple[str, ...]]]:
        return _Elsewhere, (self._call.options, self._call.rest)

    def __call__(self, job: Job) -> Done:
        try:
            return _run(job, self._call.options, self._call)
        except ProblemsError as error:
            if not job.point:
                raise
            say_problems(error.problems, self._call.err)
            return Done(job=job, error=error)


class _Elsewhere(_Task):
    """The same in a process of a launcher, whose stdout is nobody's."""

    def __init__(self, options: Namespace, rest: tuple[str, ...]) -> None:
        super().__init__(Call(options=options, rest=rest, out=sys.stderr, err=sys.stderr))


def _interrupt(number: int, frame: object) -> None:
    """What ends a run from outside ends it as Ctrl-C does."""
    raise KeyboardInterrupt


def _check_usage(call: Call) -> None:
    if call.options.plan is None:
        return
    many = bool({"-m", "--multirun"} & set(call.rest))
    if call.options.locked or many:
        message = "--plan executes one lock as it is; --locked and -m compile"
        raise UsageError([problem("usage", message, hint="leave one of them out")])
    refused = [
        word
        for word in call.rest
        if not word.startswith("-") and not word.lstrip("+~").startswith(_PLACES)
    ]
    if refused:
        message = f"--plan executes exactly that lock, so {refused[0]!r} would change nothing"
        hint = "only store.*, execution.* and hydra.* can be overridden"
        raise UsageError([problem("usage", message, hint=hint)])


def _run(job: Job, options: Namespace, call: Call) -> Done:
    def resources() -> Resources:
        return resources_of(check_places(job.config).execution, options.jobs)

    with Ahead(resources) as ahead:
        lock, state = _lock(job, options, ahead)
        return _executed(job, options, call, lock, state, resources(), ahead.workers)


def _executed(
    job: Job,
    options: Namespace,
    call: Call,
    lock: Lock,
    state: State,
    resources: Resources,
    workers: Workers | None,
) -> Done:
    progress = observer(call.err, options.quiet, [step.name for step in lock.plan.steps])
    if not options.quiet:
        print(f"plan {lock.digest[:12]} -> {shown(job.directory)}", file=call.err)
    place = place_of(job.config, state)
    if not job.point:
        prepare(lock, place)
    with progress:
        record, bundle = run_and_write(
            *(lock, state, Path(), job.directory, progress, resources),
            workers=workers,
            fail_fast=options.fail_fast,
        )
    if not record.ok:
        problems = failure(record).problems
        config = job.config if options.plan is None else None
        say_problems(places_of(problems, config.composition) if config else problems, call.err)
    done = Done(job=job, record=record, bundle=bundle)
    if not job.point:  # of a sweep's points one is registered, once somebody has chosen it
        done = _registered(done, record, place, call)
    return replace(done, text=_summary(record, job.directory, bundle, done.registered) + "\n")


def _registered(done: Done, record: RunRecord, place: Place, call: Call) -> Done:
    """The run as a version. Where it cannot be one it is told, and all else stays."""
    try:
        return replace(
            done, registered=register_run(record, name_of(done.job.config, place), place)
        )
    except StoreError as error:
        say_problems(error.problems, call.err)
        return replace(done, error=error)


def _lock(job: Job, options: Namespace, ahead: Ahead) -> tuple[Lock, State]:
    if options.plan is not None:
        lock = read_lock(options.plan)
        needs_of(lock)
        verify(lock)
        return lock, state_of(job.config, Path())
    committed = committed_lock(Path(LOCK_FILE)) if options.locked else None
    compilation = compile_config(job.config, Path(), committed=committed, unseen=ahead)
    if options.locked:
        check_current(compilation.lock, Path(LOCK_FILE))
    return compilation.lock, compilation.state


def _summary(
    record: RunRecord, directory: Path, bundle: Path | None, registered: Registered | None
) -> str:
    ran = sum(result.status == "ran" for result in record.results)
    hits = sum(result.status == "hit" for result in record.results)
    lines = [metrics_table(record.metrics, record.evaluation)] if record.metrics else []
    lines += worst_levels(record.evaluation, primary_of(record.lock))
    lines += leaderboard(record)
    if not record.ok:
        failed = [result for result in record.results if result.status == "failed"]
        lines.append(f"failed: {', '.join(r.step for r in failed)}; see {shown(directory)}")
        lines += [f"log of {r.step}: {shown(Path(r.log))}" for r in failed if r.log]
        return "\n".join(lines)
    version = f", registered as {registered}" if registered else ""
    lines.append(f"{ran} ran, {hits} unchanged; model {str(record.model)[:12]}{version}")
    if bundle is not None:
        lines.append(_next(record, directory))
    return "\n".join(lines)


def _next(record: RunRecord, directory: Path) -> str:
    """What to do with the bundle of a run."""
    made = [step for step in record.lock.plan.steps if step.kind == "package"]
    if all(target_of(step.params).serves for step in made):
        return f"serve it: mlops-compile serve {shown(directory)}"
    return f"take it: mlops-compile bundle {shown(directory)} -o DIR"


def _document(done: list[Done]) -> str:
    rows: list[tuple[tuple[str, ...], Map]] = []
    for item in done:
        if item.record is not None:
            value = run_value(item.record, item.job.directory, item.bundle, item.registered)
        else:
            value = Map({"status": "failed", "error": str(item.error)})
        rows.append((item.job.config.composition.overrides, value))
    many = any(item.job.point for item in done)
    return points_document(rows) if many else pretty(rows[0][1])


def _exit_code(done: Done) -> int:
    if done.record is None:
        return done.error.exit_code if done.error else CompileError.exit_code
    if done.record.ok:
        return done.error.exit_code if done.error else 0
    return failure(done.record).exit_code
