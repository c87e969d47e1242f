"""What of a target does not fit the task: its type, its gaps, its classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_compile.compiler.read import known
from mlops_compile.compiler.spec import Data
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.source import ColumnFact
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.sources.kind import MOST_LEVELS

# Storage types in plain words.
IN_PLAIN_WORDS = {
    "bool": "true and false",
    "int64": "whole numbers",
    "float64": "numbers",
    "timestamp": "dates",
    "timestamp_utc": "dates",
    "string": "texts",
}
_SAME = "if they are the same in other words, say so: data.test.options.replace"
_BARE: Mapping[object, tuple[str, ...]] = {
    "true": ("yes", "on", "y"),
    "false": ("no", "off", "n"),
}


def target_problems(
    data: Data, fact: ColumnFact, levels: tuple[str, ...], apart: tuple[str, ...]
) -> Iterator[Problem]:
    """What keeps a column from being the target of the task; `apart` are the levels that the test
    rows alone have."""
    where: KeyPath = ("data", "target")
    if fact.missing and data.missing_target == "fail":
        message = f"{fact.name!r} is missing in some rows"
        hint = "mend them, or leave them out with data.missing_target=drop"
        yield problem("target", message, where, hint)
    elif data.task == "regression":
        if fact.type not in ("int64", "float64"):
            message = (
                f"{fact.name!r} holds {IN_PLAIN_WORDS[fact.type]}, and a regression needs numbers"
            )
            hint = "for classes, data.task is binary or multiclass; else take another target"
            yield problem("target", message, where, hint)
    elif not levels:
        message = f"{fact.name!r} has more than {MOST_LEVELS} distinct values: too many classes"
        hint = "take another target, or group its values"
        if fact.type in ("int64", "float64"):
            hint = "is data.task=regression meant?"
        yield problem("target", message, where, hint)
    elif len(levels) == 1:
        yield _one_class(fact.name, levels[0])
    else:
        yield from _classes(data, fact.name, levels, apart)


def _one_class(name: str, level: str) -> Problem:
    message = f"{name!r} has one class only, {level!r}: there is nothing to tell apart"
    hint = "look at the data, or take another target"
    return problem("target", message, ("data", "target"), hint)


def _classes(
    data: Data, name: str, levels: tuple[str, ...], apart: tuple[str, ...]
) -> Iterator[Problem]:
    """Classes that do not fit the task; `apart` are those that the test rows alone have."""
    where = ("data", "task")
    if data.task == "multiclass":
        if apart and known(data.split) and data.split.kind == "file":
            message = f"no row of data.source has the class {_few(apart)}, which test rows have"
            yield problem("target", message, ("data", "target"), _SAME)
        if len(levels) == 2:
            message = f"{name!r} has two classes ({levels[0]}, {levels[1]}): that is a binary task"
            yield problem("target", message, where, "take data.task=binary")
        return
    if len(levels) != 2:
        message = f"{name!r} has {len(levels)} classes ({_few(levels)}), and the task is binary"
        hint = "is data.task=multiclass meant?"
        if apart:
            message += f"; {_few(apart)} stand in the test rows alone"
            hint = _SAME
        yield problem("target", message, where, hint)
    positive = data.positive
    if positive is not None and known(positive) and positive not in levels:
        message = f"{name!r} has no class {positive!r}"
        hint = suggest(str(positive), levels, "classes")
        if words := _BARE.get(positive, ()):
            if meant := [level for level in levels if level.lower() in words]:
                hint = f'YAML reads a bare {meant[0]} as {positive}: write "{meant[0]}"'
        yield problem("target", message, ("data", "positive"), hint)


def _few(levels: tuple[str, ...]) -> str:
    return ", ".join(levels[:8]) + (", ..." if len(levels) > 8 else "")
