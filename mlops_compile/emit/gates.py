"""Gates against what was measured: every one that is not met, with its figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import Map, Value, found_at
from mlops_compile.steps.gates import Bound, Gate, gates_of
from mlops_compile.steps.metrics import METRICS

_HINT = "better the model, or change the gate on purpose"
_ENDS = {"low": "the interval's low end", "high": "the interval's high end"}


def refusals(judged: Map, evaluation: Map) -> list[Problem]:
    """Why a model is not taken: gates that are not met, and a baseline that is better.

    `judged` holds `primary`, `gates` and `allow_worse_than_baseline` as the config has them.
    """
    gates = judged.get("gates", Map())
    assert isinstance(gates, Map)
    found = [item for gate in gates_of(gates) for item in _unmet(gate, evaluation)]
    if judged.get("allow_worse_than_baseline") is not True:
        found += _worse(str(judged["primary"]), evaluation)
    return found


def _worse(primary: str, evaluation: Map) -> Iterator[Problem]:
    mine, other = _of_part(evaluation, "test", primary), _of_part(evaluation, "baseline", primary)
    if not isinstance(mine, float) or not isinstance(other, float):
        return
    if mine < other if METRICS[primary].greater_is_better else mine > other:
        classes = found_at(evaluation, ("rows", "test", "classes")) is not None
        constant = "class shares answer" if classes else "mean answers"
        message = (
            f"the model is worse than the baseline: {primary} is {mine:.6g}, and {other:.6g}"
            f" where the training part's {constant} every row"
        )
        hint = "better the model, or set evaluate.allow_worse_than_baseline=true"
        yield problem("gate", message, ("evaluate", "primary"), hint)


def _unmet(gate: Gate, evaluation: Map) -> Iterator[Problem]:
    match gate.part:
        case "test":
            yield from _of_test(gate, evaluation)
        case "segments":
            yield from _of_levels(gate, evaluation)
        case "calibration":
            value = found_at(evaluation, ("calibration", gate.metric))
            yield from _judge(gate, gate.metric, value, "of the calibration")
        case "folds":
            yield from _of_folds(gate, evaluation)
        case _:
            value = _of_part(evaluation, gate.part, gate.metric)
            baseline = _metric_of(found_at(evaluation, ("baselines", gate.part)), gate.metric)
            yield from _judge(gate, gate.metric, value, f"of the {gate.part} part", baseline)


def _of_test(gate: Gate, evaluation: Map) -> Iterator[Problem]:
    baseline = _of_part(evaluation, "baseline", gate.metric)
    if gate.end == "value":
        value = _of_part(evaluation, "test", gate.metric)
        yield from _judge(gate, gate.metric, value, "", baseline)
        return
    bound, what = gate.bound, f"{_ENDS[gate.end]} of {gate.metric}"
    sort = "metrics"
    if bound.baseline:  # judged by the interval of the difference, on the same resamples
        change = -bound.number if bound.change == "-" else bound.number
        bound, sort = Bound(sign=bound.sign, number=change), "above_baseline"
        what += " less the baseline's"
    value = found_at(evaluation, ("intervals", sort, gate.metric, gate.end))
    if value is None:
        value = found_at(evaluation, ("intervals", "not_computed", gate.metric))
    yield from _judge(replace(gate, bound=bound), what, value, "")


def _of_folds(gate: Gate, evaluation: Map) -> Iterator[Problem]:
    """The mean (against the mean of the folds' baselines) or the deviation over the folds, or each
    fold that falls short."""
    folds, metric = evaluation["folds"], gate.metric
    each = found_at(folds, ("each",))
    assert isinstance(each, tuple)
    if gate.end == "each":
        for number, fold in enumerate(each, start=1):
            yield from _judge(gate, metric, found_at(fold, (metric,)), f"of fold {number}")
        return
    value, baseline = found_at(folds, (gate.end, metric)), found_at(folds, ("baseline", metric))
    what = f"the {gate.end} of {metric} over {len(each)} folds"
    yield from _judge(gate, what, value, "", baseline)


def _of_levels(gate: Gate, evaluation: Map) -> Iterator[Problem]:
    column = found_at(evaluation, ("segments", gate.column))
    assert isinstance(column, Map)
    levels, few = column["levels"], found_at(column, ("too_few", "named"))
    assert isinstance(levels, Map) and isinstance(few, Map)
    if gate.level is not None and gate.level not in levels:
        why = f"the test part has no row with {gate.column} {gate.level!r}"
        if gate.level in few:
            why = (
                f"{gate.column} {gate.level!r} has {few[gate.level]} rows in the test part, and"
                f" {column['least_rows']} are needed (evaluate.segment_rows)"
            )
        yield _not_there(gate, why)
        return
    if not levels:
        yield _not_there(gate, f"no level of {gate.column} has {column['least_rows']} rows")
    for level in levels if gate.level is None else (gate.level,):
        value = _metric_of(levels[level], gate.metric)
        baseline = _metric_of(found_at(levels, (level, "baseline")), gate.metric)
        yield from _judge(gate, gate.metric, value, f"where {gate.column} is {level}", baseline)


def _judge(
    gate: Gate, what: str, value: Value, of: str, baseline: Value = None
) -> Iterator[Problem]:
    """The problem of a value that does not reach its gate, or is none: then it says why."""
    named = f"{what} {of}".rstrip()
    if not isinstance(value, float):
        yield _not_there(gate, f"{named} was not computed: {value or 'it has no meaning here'}")
        return
    other = baseline if isinstance(baseline, float) else None
    if gate.bound.baseline and other is None:
        named = f"{gate.metric} {of}".rstrip()
        yield _not_there(gate, f"the baseline has no {named}: {baseline}")
        return
    if not gate.bound.holds(value, other):
        limit = str(gate.bound)
        if gate.bound.baseline:
            there = " there" if gate.part == "segments" else ""
            limit += f" (the baseline has {other:.6g}{there})"
        message = f"the gate is not met: {named} is {_shown(value, gate.bound, other)}, not {limit}"
        yield problem("gate", message, gate.where, _HINT)


def _not_there(gate: Gate, why: str) -> Problem:
    return problem("gate", f"the gate is not met: {why}", gate.where, _HINT)


def _of_part(evaluation: Map, part: str, metric: str) -> Value:
    """A metric of a part, or why it has none."""
    return _metric_of(found_at(evaluation, ("parts", part)), metric)


def _metric_of(facts: Value, metric: str) -> Value:
    value = found_at(facts, ("metrics", metric))
    return found_at(facts, ("not_computed", metric)) if value is None else value


def _shown(value: float, bound: Bound, baseline: float | None) -> str:
    """Six digits, or all of them where six would seem to reach the gate."""
    short = f"{value:.6g}"
    return repr(value) if bound.holds(float(short), baseline) else short
