"""How a step ended, as a result: made, taken, failed or skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops_compile.execute.messages import Outcome
from mlops_compile.ir.digest import content_size
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, ProblemsError, StepError
from mlops_compile.ir.record import StepResult
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action


def hit(step: Step, key: str, action: Action) -> StepResult:
    """The store had it."""
    return StepResult(
        step=step.name,
        kind=step.kind,
        status="hit",
        action=key,
        outputs=action.outputs,
        seconds=action.seconds,
        memory=action.memory,
        size=content_size(action.outputs, action.blobs),
        told=action.about if step.source is None else Map(),  # of a source: where it was
    )


def ran(step: Step, key: str, outcome: Outcome) -> StepResult:
    """It was made now, and is stored."""
    return StepResult(
        step=step.name,
        kind=step.kind,
        status="ran",
        action=key,
        outputs=outcome.outputs,
        seconds=outcome.seconds,
        memory=outcome.memory,
        size=content_size(outcome.outputs, (digest for _, digest in outcome.files)),
        told=outcome.told,
    )


def failed(
    step: Step,
    key: str,
    error: Outcome | ProblemsError,
    seconds: float = 0.0,
    log: str = "",
) -> StepResult:
    """It could not be made, or could not be stored."""
    # What is wrong with a lock or its data, and is found by running, is a failed step.
    code = StepError.exit_code if isinstance(error, CompileError) else error.exit_code
    return StepResult(
        step=step.name,
        kind=step.kind,
        status="failed",
        action=key,
        seconds=seconds,
        memory=error.memory if isinstance(error, Outcome) else 0,
        error="\n".join(map(str, error.problems)),
        problems=error.problems,
        exit_code=code,
        log=log,
    )


def skipped(step: Step, inputs: Sequence[str], results: Mapping[str, StepResult]) -> StepResult:
    """Steps that it needs have no result."""
    behind = sorted(
        {name for name in inputs if name in results and results[name].status not in ("ran", "hit")}
    )
    why = f"{', '.join(behind)} {'has' if len(behind) == 1 else 'have'} no result"
    return StepResult(step=step.name, kind=step.kind, status="skipped", error=why)
