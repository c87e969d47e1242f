"""Metrics, the one to judge by, and gates: which there are, and which go with the task."""

from __future__ import annotations

from dataclasses import replace

from mlops_compile.compiler.gates import Asked, metrics_of, settle_gates
from mlops_compile.compiler.read import UNKNOWN, Reader, known
from mlops_compile.compiler.spec import Data
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.metrics import METRICS, USUAL


def settle_evaluation(reader: Reader, evaluate: Evaluate, task: str, data: Data) -> Evaluate:
    """The evaluation with the task's usual metrics filled in; the task may be unknown."""
    if not known(evaluate):
        return evaluate
    fitting = tuple(
        name for name, metric in METRICS.items() if not known(task) or task in metric.tasks
    )
    metrics = evaluate.metrics
    if metrics is None:
        metrics = USUAL[task] if known(task) else UNKNOWN
    elif not metrics:
        hint = suggest("", fitting, metrics_of(task))
        reader.complain("missing-value", "must name a metric", ("evaluate", "metrics"), hint)
    for position, name in enumerate(metrics if known(metrics) else ()):
        where = ("evaluate", "metrics", str(position))
        if _fits(reader, name, task, fitting, where) and name in metrics[:position]:
            reader.complain("impossible", f"{name} is listed twice", where, "leave one out")
    primary = _primary(reader, evaluate.primary, metrics, task, fitting)
    _check_segments(reader, evaluate, data)
    asked = Asked(evaluate=evaluate, data=data, task=task, metrics=metrics, fitting=fitting)
    gates = settle_gates(reader, asked)
    return replace(evaluate, primary=primary, metrics=metrics, gates=gates)


def _fits(
    reader: Reader,
    name: str,
    task: str,
    fitting: tuple[str, ...],
    where: KeyPath,
) -> bool:
    """Whether there is a metric of that name for the task; a problem if not."""
    if name in fitting:
        return True
    if name in METRICS:
        message = f"{name} is a metric of {' and '.join(METRICS[name].tasks)}"
        message += f", and the task is {task}"
        hint = f"{metrics_of(task)}: {', '.join(fitting)}"
        reader.complain("impossible", message, where, hint)
        return False
    hint = suggest(name, fitting, metrics_of(task))
    if name.lower() == "none" and where[1] == "primary":
        hint = "YAML's word for nothing is null"
    reader.complain("unknown-choice", f"there is no metric {name!r}", where, hint)
    return False


def _sound(metrics: tuple[str, ...], fitting: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a list that are metrics of the task, each once."""
    return tuple(name for name in dict.fromkeys(metrics) if name in fitting)


def _primary(
    reader: Reader,
    stated: str | None,
    metrics: tuple[str, ...],
    task: str,
    fitting: tuple[str, ...],
) -> str | None:
    where = ("evaluate", "primary")
    if not known(stated):
        return UNKNOWN  # type: ignore[no-any-return]
    if not stated:
        return next(iter(metrics), None) if known(metrics) else UNKNOWN
    if _fits(reader, stated, task, fitting, where) and known(metrics) and stated not in metrics:
        message = f"{stated} is not computed: it is not among evaluate.metrics"
        hint = "add it to evaluate.metrics"
        if others := _sound(metrics, fitting):
            hint += f", or take {' or '.join(others)}"
        reader.complain("impossible", message, where, hint)
    return stated


def _check_segments(reader: Reader, evaluate: Evaluate, data: Data) -> None:
    """Columns to cut by: none twice, and not the target."""
    if not known(evaluate.segments):
        return
    target = data.target if known(data) else data
    for position, name in enumerate(evaluate.segments):
        where = ("evaluate", "segments", str(position))
        if name in evaluate.segments[:position]:
            reader.complain("impossible", f"{name} is listed twice", where, "leave one out")
        elif known(target) and name == target:
            message = "is the target: its classes are told apart in the confusion matrix"
            reader.complain("impossible", message, where, "name another column")
    for position, name in enumerate(evaluate.include if known(evaluate.include) else ()):
        if name in evaluate.include[:position]:
            where = ("evaluate", "include", str(position))
            reader.complain("impossible", f"{name} is listed twice", where, "leave one out")
