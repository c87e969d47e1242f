"""Metrics, the one to judge by, and gates: which there are, and which go with the task."""

from __future__ import annotations

import re
from dataclasses import replace

from mlops_compile.compiler.instead import number_in, shown
from mlops_compile.compiler.read import UNKNOWN, Reader, known
from mlops_compile.compiler.spec import Evaluate
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.metrics import METRICS, USUAL, Metric

# The comparison that may be meant where there is none, and the number.
_MEANT = re.compile(r"\s*(?P<sign>[<>=]*)\s*(?P<number>[-+]?[0-9]+(?:[.,][0-9]+)?\s*%?)")
_SIGNS = {"=>": ">=", "=<": "<=", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
# A comparison and a number, as JSON Schema takes it too.
GATE = r"^\s*(>=|<=|>|<)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*$"
_GATE = re.compile(GATE)


def settle_evaluation(reader: Reader, evaluate: Evaluate, task: str) -> Evaluate:
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
        hint = suggest("", fitting, _these(task))
        reader.complain("missing-value", "must name a metric", ("evaluate", "metrics"), hint)
    for position, name in enumerate(metrics if known(metrics) else ()):
        where = ("evaluate", "metrics", str(position))
        if _fits(reader, name, task, fitting, where) and name in metrics[:position]:
            reader.complain("impossible", f"{name} is listed twice", where, "leave one out")
    primary = _primary(reader, evaluate.primary, metrics, task, fitting)
    gates = _gates(reader, evaluate.gates, metrics, task, fitting)
    return replace(evaluate, primary=primary, metrics=metrics, gates=gates)


def _these(task: str) -> str:
    return f"metrics of a {task} task" if known(task) else "metrics"


def _fits(
    reader: Reader,
    name: str,
    task: str,
    fitting: tuple[str, ...],
    where: KeyPath,
    by_key: bool = False,
) -> bool:
    """Whether there is a metric of that name for the task; a problem if not."""
    if name in fitting:
        return True
    if name in METRICS:
        message = f"{name} is a metric of {' and '.join(METRICS[name].tasks)}"
        message += f", and the task is {task}"
        hint = f"{_these(task)}: {', '.join(fitting)}"
        reader.complain("impossible", message, where, hint, by_key=by_key)
        return False
    hint = suggest(name, fitting, _these(task))
    if name.lower() == "none" and where[1] == "primary":
        hint = "YAML's word for nothing is null"
    message = "there is no such metric" if by_key else f"there is no metric {name!r}"
    reader.complain("unknown-choice", message, where, hint, by_key=by_key)
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


def _gates(
    reader: Reader, stated: Map, metrics: tuple[str, ...], task: str, fitting: tuple[str, ...]
) -> Map:
    if not known(stated):
        return stated
    gates: dict[str, Value] = {}
    for name, text in stated.items():
        where = ("evaluate", "gates", name)
        if not _fits(reader, name, task, fitting, where, by_key=True):
            continue
        if text is None:  # a gate that is taken back
            continue
        if known(metrics) and name not in metrics:
            message = "this metric is not computed: it is not among evaluate.metrics"
            hint = f"add it: evaluate.metrics=[{','.join((*_sound(metrics, fitting), name))}]"
            reader.complain("impossible", message, where, hint, by_key=True)
        if gate := _gate(reader, METRICS[name], text, where):
            gates[name] = gate
    return Map(gates)


def _gate(reader: Reader, metric: Metric, text: Value, where: KeyPath) -> str:
    """A gate in one form: `>= 0.9`; empty if it is none."""
    match = _GATE.match(text) if isinstance(text, str) else None
    try:
        sign, number = (match[1], float(match[2])) if match else ("", 0.0)
    except ValueError:
        sign, number = "", 0.0
    if not sign:
        hint = f'write a comparison and a number: "{_meant_gate(metric, text)}"'
        reader.complain("wrong-type", f"{shown(text)} is no comparison", where, hint)
        return ""
    below = number < metric.low or (sign == "<" and number == metric.low)
    above = number > metric.high or (sign == ">" and number == metric.high)
    if below or above:
        span = f"from {metric.low:g} to {metric.high:g}"
        if metric.high == float("inf"):
            span = f"{metric.low:g} at least"
        elif metric.low == -float("inf"):
            span = f"{metric.high:g} at most"
        hint = ""
        if metric.high == 1 and 2 <= number <= 100:
            hint = f'it is a share: "{sign} {number / 100:g}" for {number:g} %'
        reader.complain("out-of-range", f"{metric.name} is {span}, never {text}", where, hint)
    return f"{sign} {number!r}"


def _meant_gate(metric: Metric, text: Value) -> str:
    """The gate that may be meant by a value that is none: with its number, if it has one."""
    found = _MEANT.search(str(text)) if isinstance(text, str | int | float) else None
    number = number_in(found["number"]) if found else ""
    usual = ">=" if metric.greater_is_better else "<="
    sign = _SIGNS.get(found["sign"], usual) if found else usual
    return f"{sign} {number or 0.9}"
