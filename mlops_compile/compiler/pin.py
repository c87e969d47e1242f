"""Pin: sources by content, distributions by version, and the contract that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.spec import Data, Spec
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.contract import Contract, RequestField
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import ColumnFact, Pinned
from mlops_compile.ir.value import KeyPath
from mlops_compile.steps.columns import Column, class_order, feature_type, fits, sendable
from mlops_compile.steps.kinds import KINDS

_COLUMNS: KeyPath = ("data", "columns")
# Storage types in plain words.
_STORED = {
    "bool": "true and false",
    "int64": "whole numbers",
    "float64": "numbers",
    "timestamp": "dates",
    "timestamp_utc": "dates",
    "string": "texts",
}
_BARE: Mapping[object, tuple[str, ...]] = {
    "true": ("yes", "on", "y"),
    "false": ("no", "off", "n"),
}


def pin(
    spec: Spec,
    plan: Plan,
    pin_source: Callable[[Data], Pinned],
    version: Callable[[str], str],
) -> Lock:
    """The lock of a plan.

    `pin_source` looks at the source, `version` gives a distribution's installed version. Raises
    CompileError with every problem that only the data shows.
    """
    pinned = pin_source(spec.data)
    if found := data_problems(spec, pinned):
        raise CompileError(found)
    names = {
        name for step in plan.steps for name in KINDS[step.kind].needs(step.params).distributions
    }
    return Lock(
        plan=plan,
        sources=((SOURCE, pinned.source),),
        environment=tuple((name, version(name)) for name in sorted(names)),
        contract=contract_of(spec.data, pinned),
    )


def contract_of(data: Data, pinned: Pinned) -> Contract:
    """The service's contract: the feature columns that were found, and the target's classes.

    A field is nullable where the data has a missing value.
    """
    stated = dict(data.columns)
    request = tuple(
        RequestField(
            name=fact.name,
            type=feature_type(fact, stated.get(fact.name)),
            nullable=fact.missing,
        )
        for fact in pinned.source.columns
        if fact.name != data.target and _role(stated, fact.name) == "feature"
    )
    classes = (
        () if data.task == "regression" else class_order(pinned.levels, data.task, data.positive)
    )
    return Contract(request=request, target=data.target, task=data.task, classes=tuple(classes))


def data_problems(spec: Spec, pinned: Pinned) -> list[Problem]:
    """What of a spec does not fit the columns that were found."""
    data = spec.data
    facts = {fact.name: fact for fact in pinned.source.columns}
    found: list[Problem] = []

    def known(name: str, where: KeyPath) -> bool:
        if name not in facts:
            hint = suggest(name, tuple(facts), "columns")
            if len(facts) == 1:
                hint = f"the file has one column, {next(iter(facts))!r}: is it the separator?"
            message = f"the data has no column {name!r}"
            by_key = "columns" in where
            found.append(problem("no-column", message, where, hint, by_key=by_key))
        return name in facts

    for name, column in data.columns:
        if known(name, (*_COLUMNS, name)) and not fits(facts[name], column):
            message = f"the column holds {_STORED[facts[name].type]}, which cannot be {column.type}"
            hint = (
                "state its real type, or list the texts that do not fit in"
                " data.source.options.missing"
            )
            found.append(problem("column-type", message, (*_COLUMNS, name, "type"), hint))
    for name in spec.prepare.columns:
        known(name, ("prepare", "columns", name))
    stated = dict(data.columns)
    sort_by = getattr(data.split, "column", None)
    if sort_by is not None and known(sort_by, ("data", "split", "column")):
        if _role(stated, sort_by) == "ignore":
            message = f"the column {sort_by!r} is ignored (data.columns.{sort_by}.role)"
            hint = "give it the role time: kept to split by, and out of the model"
            found.append(problem("impossible", message, ("data", "split", "column"), hint))
        elif facts[sort_by].type not in ("timestamp", "timestamp_utc", "int64", "float64"):
            held = _STORED[facts[sort_by].type]
            message = f"the column {sort_by!r} holds {held}: no dates and no numbers"
            hint = "dates and times are read in the form 2024-01-31 12:00:00 (ISO 8601)"
            found.append(problem("impossible", message, ("data", "split", "column"), hint))
    for name in facts:
        if _role(stated, name) == "feature" and name != data.target and not sendable(name):
            message = "a service cannot have a field of this name (a quote, backslash or control)"
            hint = "rename it with data.source.options.columns, or give it the role ignore"
            found.append(problem("column-name", message, (*_COLUMNS, name), hint))
    if known(data.target, ("data", "target")):
        found += _target_problems(data, facts[data.target], pinned)
        if not any(n != data.target and _role(stated, n) == "feature" for n in facts):
            message = "no column is left to learn from"
            hint = "give at least one column the role feature"
            found.append(problem("no-features", message, _COLUMNS, hint))
    return found


def _role(stated: Mapping[str, Column], name: str) -> str:
    return stated[name].role if name in stated else "feature"


def _target_problems(data: Data, fact: ColumnFact, pinned: Pinned) -> list[Problem]:
    where: KeyPath = ("data", "target")
    levels = pinned.levels
    if fact.missing and data.missing_target == "fail":
        message = f"{fact.name!r} is missing in some rows"
        hint = "mend them, or leave them out with data.missing_target=drop"
        return [problem("target", message, where, hint)]
    if data.task == "regression":
        if fact.type in ("int64", "float64"):
            return []
        message = f"{fact.name!r} holds {_STORED[fact.type]}, and a regression needs numbers"
        hint = "for classes, data.task is binary or multiclass; else take another target"
        return [problem("target", message, where, hint)]
    if not levels:
        message = f"{fact.name!r} has too many distinct values to be classes"
        return [problem("target", message, where, "is data.task=regression meant?")]
    if len(levels) == 1:
        message = f"{fact.name!r} has one class only, {levels[0]!r}: there is nothing to tell apart"
        return [problem("target", message, where, "look at the data, or take another target")]
    found: list[Any] = []
    if data.task == "binary" and len(levels) != 2:
        listed = ", ".join(levels[:8]) + (", ..." if len(levels) > 8 else "")
        message = f"{fact.name!r} has {len(levels)} classes ({listed}), and the task is binary"
        found.append(problem("target", message, ("data", "task"), "is data.task=multiclass meant?"))
    if data.task == "multiclass" and len(levels) == 2:
        message = f"{fact.name!r} has two classes ({levels[0]}, {levels[1]}): that is a binary task"
        found.append(problem("target", message, ("data", "task"), "take data.task=binary"))
    if data.task == "binary" and data.positive is not None and data.positive not in levels:
        message = f"{fact.name!r} has no class {data.positive!r}"
        hint = suggest(str(data.positive), levels, "classes")
        if words := _BARE.get(data.positive, ()):
            if meant := [level for level in levels if level.lower() in words]:
                hint = f'YAML reads a bare {meant[0]} as {data.positive}: write "{meant[0]}"'
        found.append(problem("target", message, ("data", "positive"), hint))
    return found
