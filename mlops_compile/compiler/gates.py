"""The gates of a config: which metrics, parts, segments and intervals they may speak of."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mlops_compile.compiler.instead import number_in, shown
from mlops_compile.compiler.read import Reader, known
from mlops_compile.compiler.spec import Data
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.gates import BOUNDS, CALIBRATION, FOLDED, PARTS, Bound, bound_of
from mlops_compile.steps.metrics import METRICS, Metric

# The comparison that may be meant where there is none, and the number.
_MEANT = re.compile(r"\s*(?P<sign>[<>=]*)\s*(?P<number>[-+]?[0-9]+(?:[.,][0-9]+)?\s*%?)")
_SIGNS = {"=>": ">=", "=<": "<=", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
_WHERE: KeyPath = ("evaluate", "gates")
# What the calibration of probabilities is measured by, as metrics are declared.
_CALIBRATION = {
    name: Metric(name=name, function="", form="probabilities", tasks=(), greater_is_better=False)
    for name in CALIBRATION
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What gates are judged by: the rest of `evaluate`, the metrics of the task, and the data."""

    evaluate: Evaluate
    data: Data
    task: str
    metrics: tuple[str, ...]
    fitting: tuple[str, ...]


def settle_gates(reader: Reader, asked: Asked) -> Map:
    """The gates that are sound, each in one form; a problem for each of the others."""
    stated = asked.evaluate.gates
    if not known(stated):
        return stated
    gates: dict[str, Value] = {}
    for name, item in stated.items():
        if item is None:  # a gate, or gates, that are taken back
            continue
        where = (*_WHERE, name)
        found: Value = None
        if name not in PARTS:
            found = _metric(reader, asked, name, item, where)
        elif not isinstance(item, Map):
            example = "{sex: {METRIC: '>= 0.9'}}" if name == "segments" else "{METRIC: '>= 0.9'}"
            hint = f"gates of it stand below it: {name}: {example}"
            reader.complain("wrong-type", f"must be a map, not {shown(item)}", where, hint)
        elif name == "segments":
            found = _segments(reader, asked, item, where)
        elif name == "calibration":
            found = _calibration(reader, asked, item, where)
        elif name == "folds":
            found = _folds(reader, asked, item, where)
        elif _has_part(reader, asked, name, where):
            found = _metrics(reader, asked, item, where)
        if found:
            gates[name] = found
    return Map(gates)


def _has_part(reader: Reader, asked: Asked, name: str, where: KeyPath) -> bool:
    split = asked.data.split if known(asked.data) else asked.data
    if name == "train" and asked.evaluate.train is False:
        message, hint = "the training part is not measured", "set evaluate.train=true"
    elif name == "validation" and getattr(split, "validation_size", None) == 0.0:
        message = "there is no validation part: data.split.validation_size is 0"
        hint = "set data.split.validation_size=0.1, or leave these gates out"
    else:
        return True
    reader.complain("impossible", message, where, hint, by_key=True)
    return False


def _metric(reader: Reader, asked: Asked, name: str, item: Value, where: KeyPath) -> Value:
    """The gate of a metric of the test part: a text, or a map of its value and its interval."""
    if not _is_metric(reader, asked, name, where):
        return None
    if not isinstance(item, Map):
        return _gate(reader, METRICS[name], item, where, baseline=True)
    ends: dict[str, Value] = {}
    for end, text in item.items():
        place = (*where, end)
        if end not in BOUNDS:
            message, hint = "a gate has no such key", suggest(end, BOUNDS, "keys")
            reader.complain("unknown-key", message, place, hint)
        elif end != "value" and asked.evaluate.bootstrap is None:
            message = "there are no intervals: evaluate.bootstrap is null"
            hint = "leave evaluate.bootstrap out, or this gate"
            reader.complain("impossible", message, place, hint, by_key=True)
        elif text is not None and (
            gate := _gate(reader, METRICS[name], text, place, baseline=True)
        ):
            ends[end] = gate
            if end != "value" and " * " in gate:
                message = "an interval is of the difference to the baseline, not of a multiple"
                change = "+" if METRICS[name].greater_is_better else "-"
                hint = f'write a sum: "{gate.split()[0]} baseline {change} 0.1"'
                reader.complain("impossible", message, place, hint)
    return Map(ends)


def _metrics(reader: Reader, asked: Asked, item: Map, where: KeyPath) -> Map:
    """Gates of several metrics of a part, or of a segment."""
    gates: dict[str, Value] = {}
    for name, text in item.items():
        place = (*where, name)
        if text is not None and _is_metric(reader, asked, name, place):
            if gate := _gate(reader, METRICS[name], text, place, baseline=True):
                gates[name] = gate
    return Map(gates)


def _folds(reader: Reader, asked: Asked, item: Map, where: KeyPath) -> Map:
    """Gates of the metrics of folds: a text for the mean, or a map of what of them."""
    if asked.evaluate.cross_validation is None:
        kind = "random" if asked.task == "regression" else "stratified"
        message = "there are no folds: evaluate.cross_validation is null"
        hint = f"set evaluate.cross_validation={{kind: {kind}, folds: 5}}, or leave these gates out"
        reader.complain("impossible", message, where, hint, by_key=True)
    gates: dict[str, Value] = {}
    for name, own in item.items():
        place = (*where, name)
        if own is None or not _is_metric(reader, asked, name, place):
            continue
        if isinstance(own, Map):
            gates[name] = _of_folds(reader, METRICS[name], own, place)
        else:
            gates[name] = _gate(reader, METRICS[name], own, place, baseline=True)
    return Map({name: own for name, own in gates.items() if own})


def _of_folds(reader: Reader, metric: Metric, own: Map, where: KeyPath) -> Map:
    spread = replace(metric, low=0, high=float("inf"), greater_is_better=False)
    gates: dict[str, Value] = {}
    for name, text in own.items():
        place = (*where, name)
        if name not in FOLDED:
            message, hint = "a gate of folds has no such key", suggest(name, FOLDED, "keys")
            reader.complain("unknown-key", message, place, hint)
        elif text is not None:
            of = spread if name == "deviation" else metric
            if gate := _gate(reader, of, text, place, baseline=name == "mean"):
                gates[name] = gate
    return Map(gates)


def _segments(reader: Reader, asked: Asked, item: Map, where: KeyPath) -> Map:
    gates: dict[str, Value] = {}
    columns = asked.data.columns if known(asked.data) and known(asked.data.columns) else ()
    there = known(asked.evaluate.segments)
    cut = asked.evaluate.segments if there else ()
    cut = (*cut, *(name for name, column in columns if column.role == "segment"))
    for column, own in item.items():
        place = (*where, column)
        if own is None:
            continue
        if there and column not in cut:
            message = "this column is no segment"
            hint = nearest(column, cut) or (
                f"add it: evaluate.segments=[{','.join(dict.fromkeys((*cut, column)))}]"
            )
            reader.complain("impossible", message, place, hint, by_key=True)
        elif not isinstance(own, Map):
            hint = f"name a metric first: {column}: {{METRIC: '>= 0.9'}}"
            reader.complain("wrong-type", f"must be a map, not {shown(own)}", place, hint)
        else:
            gates[column] = _of_column(reader, asked, own, place)
    return Map({name: own for name, own in gates.items() if own})


def _of_column(reader: Reader, asked: Asked, own: Map, where: KeyPath) -> Map:
    """Gates of all levels of a column, and below `levels` of single ones."""
    levels = own.get("levels")
    every = _metrics(reader, asked, Map({n: g for n, g in own.items() if n != "levels"}), where)
    if levels is None:
        return every
    place = (*where, "levels")
    if not isinstance(levels, Map) or not all(isinstance(gates, Map) for gates in levels.values()):
        hint = "name a level, then a metric: levels: {LEVEL: {METRIC: '>= 0.9'}}"
        reader.complain("wrong-type", "must be a map of maps", place, hint)
        return every
    single = {
        level: _metrics(reader, asked, gates, (*place, level))
        for level, gates in levels.items()
        if isinstance(gates, Map)
    }
    return Map({**every, "levels": Map({level: own for level, own in single.items() if own})})


def _calibration(reader: Reader, asked: Asked, item: Map, where: KeyPath) -> Map:
    gates: dict[str, Value] = {}
    include = asked.evaluate.include
    if known(asked.task) and asked.task == "regression":
        message = "a regression has no probabilities that could be calibrated"
        reader.complain("impossible", message, where, "leave these gates out", by_key=True)
    elif known(include) and "calibration" not in include:
        message = "calibration is not measured: it is not among evaluate.include"
        hint = f"add it: evaluate.include=[{','.join((*include, 'calibration'))}]"
        reader.complain("impossible", message, where, hint, by_key=True)
    for name, text in item.items():
        place = (*where, name)
        if name not in CALIBRATION:
            message, hint = "calibration has no such number", suggest(name, CALIBRATION, "numbers")
            reader.complain("unknown-choice", message, place, hint, by_key=True)
        elif text is not None and (gate := _gate(reader, _CALIBRATION[name], text, place)):
            gates[name] = gate
    return Map(gates)


def _is_metric(reader: Reader, asked: Asked, name: str, where: KeyPath) -> bool:
    """Whether it is a metric that is computed; a problem if not."""
    if name in ("cv", "cross_validation") and len(where) == len(_WHERE) + 1:
        message, hint = "there is no such metric", "gates of folds stand below folds"
        reader.complain("unknown-choice", message, where, hint, by_key=True)
        return False
    if name == "test" and len(where) == len(_WHERE) + 1:
        message, hint = "there is no such metric", "gates of the test part stand at the top"
        reader.complain("unknown-choice", message, where, f"{hint}, without it", by_key=True)
        return False
    names = (*asked.fitting, *PARTS) if len(where) == len(_WHERE) + 1 else asked.fitting
    if name not in METRICS and name not in asked.fitting:
        hint = nearest(name, names) or suggest(name, asked.fitting, metrics_of(asked.task))
        reader.complain("unknown-choice", "there is no such metric", where, hint, by_key=True)
        return False
    if name not in asked.fitting:
        message = f"{name} is a metric of {' and '.join(METRICS[name].tasks)}"
        message += f", and the task is {asked.task}"
        hint = f"{metrics_of(asked.task)}: {', '.join(asked.fitting)}"
        reader.complain("impossible", message, where, hint, by_key=True)
        return False
    if known(asked.metrics) and name not in asked.metrics:
        sound = [item for item in dict.fromkeys(asked.metrics) if item in asked.fitting]
        message = "this metric is not computed: it is not among evaluate.metrics"
        hint = f"add it: evaluate.metrics=[{','.join((*sound, name))}]"
        reader.complain("impossible", message, where, hint, by_key=True)
    return True


def metrics_of(task: str) -> str:
    """What the metrics of a task are called."""
    return f"metrics of a {task} task" if known(task) else "metrics"


def _gate(
    reader: Reader, metric: Metric, text: Value, where: KeyPath, *, baseline: bool = False
) -> str:
    """A gate in one form: `>= 0.9`; empty if it is none. Of some figures there is a baseline's."""
    bound = bound_of(text)
    if bound is None:
        hint = f'write a comparison and a number: "{_meant(metric, text)}"'
        reader.complain("wrong-type", f"{shown(text)} is no comparison", where, hint)
        return ""
    if bound.baseline and not baseline:
        message = "only a part, a segment and the mean of folds have a baseline"
        hint = "compare with a number here, and with the baseline in a gate of the whole"
        reader.complain("impossible", message, where, hint)
        return ""
    if not bound.baseline:
        _check_range(reader, metric, bound, text, where)
    return str(bound)


def _check_range(reader: Reader, metric: Metric, bound: Bound, text: Value, where: KeyPath) -> None:
    sign, number = bound.sign, bound.number
    below = number < metric.low or (sign == "<" and number == metric.low)
    above = number > metric.high or (sign == ">" and number == metric.high)
    if not below and not above:
        return
    span = f"from {metric.low:g} to {metric.high:g}"
    if metric.high == float("inf"):
        span = f"{metric.low:g} at least"
    elif metric.low == -float("inf"):
        span = f"{metric.high:g} at most"
    hint = ""
    if metric.high == 1 and 2 <= number <= 100:
        hint = f'it is a share: "{sign} {number / 100:g}" for {number:g} %'
    reader.complain("out-of-range", f"{metric.name} is {span}, never {text}", where, hint)


def _meant(metric: Metric, text: Value) -> str:
    """The gate that may be meant by a value that is none: with its number, if it has one."""
    usual = ">=" if metric.greater_is_better else "<="
    if isinstance(text, str) and "baseline" in text:
        return f"{usual} baseline {'+' if metric.greater_is_better else '-'} 0.1"
    found = _MEANT.search(str(text)) if isinstance(text, str | int | float) else None
    number = number_in(found["number"]) if found else ""
    sign = _SIGNS.get(found["sign"], usual) if found else usual
    return f"{sign} {number or 0.9}"
