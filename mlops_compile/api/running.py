"""Lock to record: executes locks against a project's state and writes run directories."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mlops_compile.api.ahead import Ahead
from mlops_compile.api.compiling import compile_config, overrides_of
from mlops_compile.api.driving import run_search
from mlops_compile.api.locks import read_lock
from mlops_compile.api.searching import search_step
from mlops_compile.api.state import LATEST, State, state_of
from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.spec import Execution
from mlops_compile.execute.environment import installed_version
from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.local import execute
from mlops_compile.execute.observer import Observer, Silent
from mlops_compile.execute.pool import Workers
from mlops_compile.execute.resources import Resources, cores_here
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.lock import Lock, encode
from mlops_compile.ir.plan import own_name
from mlops_compile.ir.problem import CompileError, ProblemsError, StepError, StoreError, problem
from mlops_compile.ir.record import RECORD_FILE, RunRecord, decode_record, encode_record, trials_csv
from mlops_compile.ir.value import Map, pretty
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.files import digest_file, write_atomic

BUNDLE_DIRECTORY = "bundle"
LOGS = "logs"
TRIALS = "trials.csv"
_GIB = 1 << 30


def run(
    lock: Lock | Sequence[str] = (),
    *,
    project: str | Path = ".",
    observer: Observer | None = None,
    workers: Workers | None = None,
) -> RunRecord:
    """Execute a lock (or overrides, compiled first); what is made already is not made again.

    `workers` are processes that are kept warm from run to run (`with mc.Workers(2) as workers`);
    else the run has its own. The logs of steps are kept in `.mlops/logs`. Raises StepError (its
    `record` holds what was made) when a step fails.
    """
    place = Path(project)
    config = compose(() if isinstance(lock, Lock) else overrides_of(lock), place)
    state, execution = state_of(config, place), check_places(config).execution
    resources, told = resources_of(execution), observer or Silent()
    with Ahead(lambda: resources, workers) as ahead:
        if not isinstance(lock, Lock):
            lock = compile_config(config, place, unseen=ahead).lock
        logs = state.root / LOGS / lock.digest[:12]
        record = execute_lock(lock, state, place, told, resources, logs=logs, workers=ahead.workers)
    if not record.ok:
        raise failure(record)
    return record


def resources_of(execution: Execution, jobs: int | None = None) -> Resources:
    """What the config lets a run use; `jobs` steps side by side, where the caller says so."""
    cores = cores_here()
    return Resources(
        cores=cores,
        workers=jobs or execution.workers or cores,
        threads=execution.threads,
        memory=int(execution.memory * _GIB) if execution.memory else None,
    )


def failure(record: RunRecord) -> ProblemsError:
    """The error of a run that did not end well, with all problems of its steps."""
    problems = [item for result in record.results for item in result.problems]
    error = RunFailed(problems or [problem("failed", "a step failed")])
    error.record = record
    error.exit_code = max(result.exit_code for result in record.results)
    return error


class RunFailed(StepError):
    """Steps failed; `record` holds what was made all the same."""

    record: RunRecord


def execute_lock(
    lock: Lock,
    state: State,
    project: Path,
    observer: Observer,
    resources: Resources,
    *,
    logs: Path,
    workers: Workers | None = None,
    fail_fast: bool = False,
) -> RunRecord:
    """Execute exactly a lock; with `fail_fast`, a search ends once one of its trials has failed.
    CompileError where what is installed is not what it names."""
    _check_environment(lock)

    pool = workers or Workers(resources.workers)
    store = state.store
    try:

        def run_once(lock: Lock, observer: Observer, fail_fast: bool = False) -> RunRecord:
            return execute(
                *(lock, store, project, observer, pool, resources, logs, time.time),
                fail_fast=fail_fast,
            )

        if search_step(lock) is None:
            record = run_once(lock, observer, fail_fast)
        else:
            record = run_search(lock, store, observer, run_once, time.time, fail_fast)
    finally:
        with Interrupts():  # whatever comes meanwhile, all of it is let go of
            store.close()
            if workers is None:
                pool.close()
    _remember(record, state)
    return record


def _remember(record: RunRecord, state: State) -> None:
    """Keep which action each step had, for `compile` to tell what is as it was."""
    before = state.cache.get(LATEST)
    done = [result for result in record.results if result.status in ("ran", "hit")]
    keys = {r.step: r.action for r in done if own_name(r.step) == r.step}
    now = Map({**(before if isinstance(before, Map) else {}), **keys})
    if now != before:
        state.cache.put(LATEST, now)


def _check_environment(lock: Lock) -> None:
    found = []
    for name, version in lock.environment:
        installed = installed_version(name) or "not installed"
        if installed != version:
            message = f"the lock names {name} {version}; here it is {installed}"
            hint = f"python -m pip install {name}=={version}, or compile again"
            found.append(problem("environment", message, ("environment", name), hint))
    if found:
        raise CompileError(found)


def write_run(record: RunRecord, state: State, directory: Path) -> Path | None:
    """Write a run's documents, and its bundle if there is one, into its directory.

    Gives the bundle's directory. MissingBlob if the bundle was damaged in the store: it is made
    anew by the next run. StoreError where the directory cannot be written.
    """
    try:
        return _write_run(record, state, directory)
    except OSError as error:
        message = f"the run's directory {directory} cannot be written: {error.strerror or error}"
        hint = "make room; the results are in the store, and the same command writes them again"
        raise StoreError([problem("disk", message, hint=hint)]) from None


def _write_run(record: RunRecord, state: State, directory: Path) -> Path | None:
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / LOCK_FILE, encode(record.lock).encode("utf-8"))
    write_atomic(directory / "metrics.json", pretty(record.metrics).encode("utf-8"))
    if record.trials:
        write_atomic(directory / TRIALS, trials_csv(record).encode("utf-8"))
    bundle = None
    for result in record.results:
        if result.kind == "evaluate" and "evaluation" in dict(result.outputs):
            text = state.store.blobs.read(result.output("evaluation")).read_bytes()
            write_atomic(directory / "evaluation.json", text)
        if result.kind == "package" and "bundle" in dict(result.outputs):
            bundle = directory / BUNDLE_DIRECTORY
            state.store.blobs.checkout(result.output("bundle"), bundle)
    write_atomic(directory / RECORD_FILE, encode_record(record).encode("utf-8"))
    return bundle


def run_and_write(
    lock: Lock,
    state: State,
    project: Path,
    directory: Path,
    observer: Observer,
    resources: Resources,
    *,
    workers: Workers | None = None,
    fail_fast: bool = False,
) -> tuple[RunRecord, Path | None]:
    """Execute a lock into a run directory; a damaged result is made anew once."""

    def once() -> tuple[RunRecord, Path | None]:
        record = execute_lock(
            *(lock, state, project, observer, resources),
            logs=directory / LOGS,
            workers=workers,
            fail_fast=fail_fast,
        )
        return record, write_run(record, state, directory)

    try:
        return once()
    except MissingBlob:
        return once()


def read_run(directory: Path) -> RunRecord:
    """The record of a run directory; CompileError if it is none."""
    file = directory / RECORD_FILE
    if not file.is_file():
        message = f"{directory} is not the directory of a run that ended: it has no {RECORD_FILE}"
        hint = "run again; what was made is in the store"
        raise CompileError([problem("no-run", message, hint=hint)])
    lock = read_lock(directory / LOCK_FILE)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CompileError([problem("record", f"{file} cannot be read: {error}")]) from None
    return decode_record(text, lock, str(file), digest_file(directory / LOCK_FILE).sha256)
