"""Why a step has no result, as sentences: what could not be read, written, stored or started."""

from __future__ import annotations

import errno
from pathlib import Path

from mlops_compile.execute.messages import Outcome
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import Problem, ProblemsError, StepError, StoreError, problem

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_ROOM_HINT = "make room, or set store.uri to another disk; what is stored stays whole"


def of_system(step: str, error: OSError, room: Path) -> ProblemsError:
    """What the system refused to a step: writing, which is the disk's matter (no room, or a file
    of its own room), or reading."""
    reason = error.strerror or str(error) or type(error).__name__
    file = error.filename
    if error.errno in _NO_ROOM or (file is not None and _is_below(file, room)):
        return not_written(step, error)
    if file is not None:
        message = f"{step} cannot read {_name(file)}: {reason}"
        hint = "see that it is there and may be read; what is made is kept"
        return StepError([problem("unreadable", message, hint=hint)])
    message = f"{step} cannot read what it needs: {reason}"
    return StepError([problem("unreadable", message, hint="the traceback is in the step's log")])


def not_written(step: str, error: OSError) -> StoreError:
    """A step's results found no place."""
    message = f"{step} cannot write its results: {error.strerror or error}"
    return StoreError([problem("disk", message, hint=_ROOM_HINT)])


def not_stored(step: str, error: BaseException) -> ProblemsError:
    """What came between a step's results and the store."""
    if isinstance(error, ProblemsError):
        return error
    if isinstance(error, OSError):
        return not_written(step, error)
    message = f"{step} could not be stored: {type(error).__name__}: {error}"
    hint = "this is a bug of mlops_compile; what is stored stays whole"
    return ProblemsError([problem("bug", message, hint=hint)])


def no_process(error: OSError) -> StepError:
    """The machine refused the first worker."""
    message = f"this machine cannot start another process: {error.strerror or error}"
    hint = "use fewer workers (-j 1), or end what else runs; what is made is kept"
    return StepError([problem("no-process", message, hint=hint)])


def differs(step: str) -> Outcome:
    """Made again, it is not what steps behind it have used already."""
    message = f"{step} gave other bytes than before from equal causes"
    hint = "the step is not reproducible on this machine; see docs/determinism.md"
    found = problem("differs", message, hint=hint)
    return Outcome(problems=(found,), exit_code=StoreError.exit_code, final=True)


def keeps_breaking(output: str, times: int) -> StoreError:
    """An output is damaged as often as it is made."""
    message = f"{output} was made {times} times, and was damaged in the store each time it was read"
    hint = "look after the disk, or set store.uri to another one"
    return StoreError([problem("blob", message, hint=hint)])


def lost_worker(step: Step, ending: str, said: str) -> Outcome:
    """Its process ended before it did; `said` is what the process wrote of that."""
    last = said.strip().rpartition("\n")[2]
    why = f"{ending}: {last}" if last else ending
    message = f"the process that ran {step.name} ended before the step did ({why})"
    hint = (
        "the rest of what it said is in the step's log"
        if last
        else "if the machine ran out of memory: fewer steps at once (-j 1), or less data"
    )
    return Outcome(problems=(problem("killed", message, hint=hint),), exit_code=StepError.exit_code)


def over_memory(step: Step, used: int, most: int) -> Outcome:
    """It took more memory than it may; it would do so again."""
    message = f"{step.name} took {_size(used)} of memory, more than the {_size(most)} it may take"
    found = problem("memory", message, ("execution", "memory"), "allow more, or use less data")
    return Outcome(problems=(found,), exit_code=StepError.exit_code, memory=used, final=True)


def no_memory(step: str) -> Problem:
    """The machine gave it none."""
    hint = "give it less to do, or a machine with more memory"
    return problem("killed", f"{step} found no more memory", hint=hint)


def _is_below(file: str | bytes | int, room: Path) -> bool:
    return not isinstance(file, int) and Path(_name(file)).is_relative_to(room)


def _name(file: str | bytes | int) -> str:
    return file.decode("utf-8", "replace") if isinstance(file, bytes) else str(file)


def _size(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
