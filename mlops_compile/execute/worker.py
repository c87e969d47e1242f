"""A worker process: runs one step after another, keeps its libraries, and ends with its parent.

Started by pool.py as `python -c ... READ WRITE PARENT`, with two ends of pipes and its parent's id.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mlops_compile.execute.failures import no_memory, of_system
from mlops_compile.execute.inputs import Inputs, LostInputs, bring
from mlops_compile.execute.messages import (
    Job,
    Outcome,
    decode_ahead,
    decode_job,
    encode_begin,
    encode_outcome,
)
from mlops_compile.execute.resources import memory_of
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import (
    CompileError,
    Problem,
    ProblemsError,
    StepError,
    problem,
)
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.kind import StepKind, Work
from mlops_compile.steps.kinds import kind_of
from mlops_compile.store.blobs import stage

_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h
_RESET_PEAK = "5"  # proc_pid_clear_refs(5): the peak of resident memory starts again


def main(read: int, write: int, parent: int) -> None:
    """Serve jobs until the parent closes its end or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _end_with(parent, read)
    with os.fdopen(read, "rb") as jobs, os.fdopen(write, "wb") as outcomes:
        for line in jobs:
            ahead = decode_ahead(line)
            if ahead is None:
                _answer(decode_job(line), outcomes)
            for module in ahead or ():
                with contextlib.suppress(Exception):  # the step itself says what is missing
                    importlib.import_module(module)


def _answer(job: Job, outcomes: BinaryIO) -> None:
    def begin() -> None:
        if job.tells_begin:
            _give_back()
            outcomes.write(encode_begin(memory_of(os.getpid())))
            outcomes.flush()

    outcomes.write(encode_outcome(perform(job, begin)))
    outcomes.flush()


def _give_back() -> None:
    """Let go of the memory that earlier steps left: what cannot be is not the next one's."""
    gc.collect()
    if sys.platform == "linux":
        import ctypes  # as below

        with contextlib.suppress(AttributeError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)


def _end_with(parent: int, read: int) -> None:
    """Die when the parent does, even in the middle of a library's C code."""
    if sys.platform == "linux":
        import ctypes  # only here: a process that is not a worker has no use for it

        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def _watch(read: int) -> None:
    """End the process when the other end of its pipe closes."""
    poll = select.poll()
    poll.register(read, 0)  # a hang-up is told without being asked for
    poll.poll()
    os._exit(1)


def perform(job: Job, begin: Callable[[], None] = lambda: None) -> Outcome:
    """Bring what a job's step reads, run it and stage what it wrote; every failure is an outcome
    with problems. `begin` is called when the step's own work begins."""
    start = time.monotonic()
    notes: list[str] = []
    told: dict[str, Value] = {}
    outputs: tuple[tuple[str, Digest], ...] = ()
    files: tuple[tuple[Path, Digest], ...] = ()
    lost: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    code = 0
    with _printing_to(job.log):
        try:
            inputs = bring(job)
            kind = kind_of(job.kind)
            run = kind.load()
            start = time.monotonic()
            _reset_peak()
            begin()
            _run(run, kind, job, inputs, notes, told)
            outputs, files = _staged(kind, job)
        except LostInputs as error:
            lost = error.ports
        except ProblemsError as error:
            _print_traceback()
            problems, code = error.problems, _exit_code(error)
        except OSError as error:
            _print_traceback()
            found = of_system(job.step, error, job.room)
            problems, code = found.problems, found.exit_code
        except MemoryError:
            _print_traceback()
            problems, code = (no_memory(job.step),), StepError.exit_code
        except (Exception, SystemExit) as error:  # nothing that a step calls may end the worker
            _print_traceback()
            problems, code = (_bug(job, error),), StepError.exit_code
    return Outcome(
        outputs=outputs,
        files=files,
        lost=lost,
        notes=tuple(dict.fromkeys(notes)),
        problems=problems,
        exit_code=code,
        seconds=time.monotonic() - start,
        memory=_peak(),
        told=Map(told),
    )


def _run(
    run: Callable[[Work], None],
    kind: StepKind,
    job: Job,
    inputs: Inputs,
    notes: list[str],
    told: dict[str, Value],
) -> None:
    """Call the kind's function; a library's warnings become notes."""
    for port in job.outputs:
        place = job.output(port) if port in kind.trees else job.output(port).parent
        place.mkdir(parents=True, exist_ok=True)
    work = Work(
        step=job.step,
        params=job.params,
        inputs=inputs.places,
        digests=job.inputs,
        outputs={port: job.output(port) for port in job.outputs},
        threads=job.threads,
        key=job.key,
        seed=job.seed,
        source=job.source,
        snapshot=inputs.snapshot,
        contract=job.contract,
        code=job.code,
        told=told,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            run(work)
        finally:
            notes += [str(warning.message) for warning in caught]


def _staged(
    kind: StepKind, job: Job
) -> tuple[tuple[tuple[str, Digest], ...], tuple[tuple[Path, Digest], ...]]:
    """The digest of every output, and the files that they consist of."""
    outputs: list[tuple[str, Digest]] = []
    files: list[tuple[Path, Digest]] = []
    for port in sorted(job.outputs):
        path = job.output(port)
        if not path.exists():
            message = f"{job.step} did not write its output {port!r}"
            raise StepError([problem("bug", message, hint="this is a bug of mlops_compile")])
        digest, parts = stage(path, port in kind.trees, job.room / f"listing-{port}")
        outputs.append((port, digest))
        files += parts
    return tuple(outputs), tuple(files)


def _exit_code(error: ProblemsError) -> int:
    """That of the error; what is wrong with the data is found by a step here, not by compiling."""
    return StepError.exit_code if isinstance(error, CompileError) else error.exit_code


def _bug(job: Job, error: BaseException) -> Problem:
    message = f"{job.step} failed: {type(error).__name__}: {error}"
    hint = "the traceback is in the step's log; this is a bug of mlops_compile"
    return problem("bug", message, hint=hint)


def _print_traceback() -> None:
    """A full disk costs the log, not the sentence."""
    with contextlib.suppress(OSError):
        traceback.print_exc()
        sys.stderr.flush()


@contextlib.contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """What this process prints, C libraries included, goes to a file; nowhere, if there can be
    none."""
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        file = os.open(log, how, 0o644)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(file, number)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(file)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)


def _peak() -> int:
    """The most memory that was resident since the last reset, in bytes; 0 where it is not told."""
    try:
        text = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
