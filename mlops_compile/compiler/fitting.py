"""What of a spec does not fit the data that was found: columns, the target, parts, features.

The spec may hold UNKNOWN where the config is faulty; what would need that is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mlops_compile.compiler.chains import chain_problem, sorts_of
from mlops_compile.compiler.contracts import fact_problems, may_drop
from mlops_compile.compiler.derive import (
    condition_problems,
    derived_problems,
    sorts_of_columns,
)
from mlops_compile.compiler.read import known, whole
from mlops_compile.compiler.spec import Data, Spec
from mlops_compile.compiler.splitting import FOLDS, SPLIT, used_columns
from mlops_compile.compiler.suggest import suggest
from mlops_compile.compiler.targets import IN_PLAIN_WORDS, target_problems
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.source import ColumnFact, Misfit, Pinned
from mlops_compile.ir.value import KeyPath, Map, dotted
from mlops_compile.steps.columns import (
    ROLES,
    Column,
    feature_type,
    fits,
    left_levels,
    role_of,
    sendable,
)
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.kind import Family, problem_of
from mlops_compile.steps.moments import moment, moment_fault, span_fault
from mlops_compile.steps.preparations.kind import Sort
from mlops_compile.steps.splits import Split, Use, asked_parts, part_sizes, wanted_sizes

_COLUMNS: KeyPath = ("data", "columns")
_SORTABLE = ("timestamp", "timestamp_utc", "int64", "float64")


def data_problems(spec: Spec, pinned: Pinned, memo: Memo | None = None) -> list[Problem]:
    """Every problem that the facts of the data show. The facts that parameters of a model have to
    fit are found once for all specs of one memo that have the rest in common."""
    model, data = spec.model, spec.data
    rest = (model.family, model.class_weight, model.monotone) if known(model) else (model,)
    shared = (data, spec.prepare, spec.evaluate, pinned, *rest)
    found, facts = (memo or Memo()).of("fitting", shared, lambda: _fitting(spec, pinned))
    return [*found, *(_misfits(spec, facts) if facts else ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What parameters of a model are judged by: the sorts of the features (None: not known for
    sure) and the classes."""

    sorts: tuple[Sort, ...] | None
    levels: tuple[str, ...]


def _fitting(spec: Spec, pinned: Pinned) -> tuple[list[Problem], _Facts | None]:
    """The problems of all but the model's parameters, and what is needed to judge those."""
    facts = {fact.name: fact for fact in pinned.table.columns}
    if len(facts) == 1 and known(spec.data.target) and spec.data.target not in facts:
        # The separator hides it all.
        return _no_column(spec.data.target, facts, ("data", "target")), None
    levels, of_target = pinned.levels, None
    if known(spec.data.target) and whole(spec.data.columns):
        of_target = dict(spec.data.columns).get(spec.data.target)
        levels = left_levels(levels, of_target)
    found = [
        *_columns(spec.data, facts, dict(pinned.misfits)),
        *fact_problems(spec.data, facts, pinned.table.rows),
    ]
    if known(spec.prepare, spec.prepare.columns, spec.prepare.derive):
        own = {*dict(spec.prepare.derive)}
        for name in spec.prepare.columns:
            if name not in own:
                found += _no_column(name, facts, ("prepare", "columns", name))
    found += _segments(spec, facts)
    found += _split(spec, facts, pinned.table.rows)
    found += _directed(spec, facts)
    if known(spec.data.target):
        found += _no_column(spec.data.target, facts, ("data", "target"))
        is_secret = of_target is not None and of_target.sensitive  # then classes are refused
        judged = known(spec.data.task, spec.data.missing_target) and not (
            is_secret and spec.data.task != "regression"
        )
        if spec.data.target in facts and judged:
            apart = left_levels(pinned.test_levels, of_target)
            found += target_problems(spec.data, facts[spec.data.target], levels, apart)
    if not known(spec.model.family, spec.prepare) or any(p.code == "column-type" for p in found):
        return found, None
    wrong, features = _features(spec, facts, pinned, levels)
    return [*found, *wrong], features


def _no_column(name: str, facts: Mapping[str, ColumnFact], where: KeyPath) -> list[Problem]:
    if name in facts:
        return []
    hint = suggest(name, tuple(facts), "columns")
    if len(facts) == 1:
        hint = f"the file has one column, {next(iter(facts))!r}: is it the separator?"
    message = f"the data has no column {name!r}"
    return [problem("no-column", message, where, hint, by_key=where[1] == "columns")]


def _columns(
    data: Data, facts: Mapping[str, ColumnFact], misfits: Mapping[str, Misfit]
) -> Iterator[Problem]:
    """Columns that are stated, and what a service could not be asked."""
    if not known(data.columns, data.target):
        return
    stated = dict(data.columns)
    for name, column in data.columns:
        yield from _no_column(name, facts, (*_COLUMNS, name))
        if name in facts and known(column.type) and not fits(facts[name], column):
            held = IN_PLAIN_WORDS[facts[name].type]
            message = f"the column holds {held}, which cannot be {column.type}"
            if name in misfits and facts[name].type == "string":
                message = misfits[name].said(column.sensitive)
            hint = (
                "state its real type, or list the texts that do not fit in"
                " data.source.options.missing"
            )
            if column.type == "boolean":
                hint = "boolean are true and false; leave the type out, and it is as the data looks"
            yield problem("column-type", message, (*_COLUMNS, name, "type"), hint)
    yield from _mixed(stated, facts, misfits)
    yield from _weights(data, facts)
    features = [name for name in facts if role_of(stated, name) == "feature"]
    for name in features:
        if name != data.target and not sendable(name):
            message = "a service cannot have a field of this name (a quote, backslash or control)"
            hint = "rename it with data.source.options.columns, or give it the role ignore"
            yield problem("column-name", message, (*_COLUMNS, name), hint)
    if data.target in facts and not {*features} - {data.target}:
        message = "no column is left to learn from"
        yield problem("no-features", message, _COLUMNS, "give at least one column the role feature")


def _mixed(
    stated: Mapping[str, Column], facts: Mapping[str, ColumnFact], misfits: Mapping[str, Misfit]
) -> Iterator[Problem]:
    """Columns of texts that nobody states, and that are numbers or times but for a few cells."""
    for name, misfit in misfits.items():
        column = stated.get(name, Column())
        if name not in facts or facts[name].type != "string":
            continue
        if not known(column) or not known(column.type, column.role) or column.type is not None:
            continue
        if column.role not in ("ignore", "id"):
            like = {"numeric": "numbers", "datetime": "dates"}[misfit.sort]
            said = misfit.said(column.sensitive)
            message = f"{said}, and nearly all of the column look like {like}"
            hint = (
                "mend it, list the texts that stand for nothing in data.source.options.missing, or"
                f" set {dotted((*_COLUMNS, name, 'type'))}=categorical to read all as texts"
            )
            yield problem("mixed-types", message, (*_COLUMNS, name), hint)


def _segments(spec: Spec, facts: Mapping[str, ColumnFact]) -> Iterator[Problem]:
    if not known(spec.evaluate, spec.evaluate.segments, spec.data.columns):
        return
    stated = dict(spec.data.columns)
    for position, name in enumerate(spec.evaluate.segments):
        where = ("evaluate", "segments", str(position))
        if name not in facts:
            hint = suggest(name, tuple(facts), "columns")
            yield problem("no-column", f"the data has no column {name!r}", where, hint)
        elif name in stated and role_of(stated, name) == "ignore":
            message = f"the column {name!r} is ignored (data.columns.{name}.role)"
            hint = "give it the role segment: kept to measure by, and out of the model"
            yield problem("impossible", message, where, hint)


def _weights(data: Data, facts: Mapping[str, ColumnFact]) -> Iterator[Problem]:
    """Columns that say how much rows count: one, of numbers, in every row that is kept."""
    stated = dict(data.columns)
    first, *others = [name for name in facts if role_of(stated, name) == "weight"] or [""]
    for name in others:
        message = f"rows have one weight, and {first!r} is it already"
        yield problem("impossible", message, (*_COLUMNS, name, "role"), "leave one out")
    if first and facts[first].type not in ("int64", "float64"):
        message = f"the column holds {IN_PLAIN_WORDS[facts[first].type]}, and weights are numbers"
        hint = "take another column, or leave the role weight out"
        yield problem("impossible", message, (*_COLUMNS, first, "role"), hint)
    elif first and facts[first].missing and not may_drop(data):
        message = "the weight is missing in some rows"
        hint = f"drop them: data.columns.{first}={{role: weight, nullable: false, violation: drop}}"
        yield problem("impossible", message, (*_COLUMNS, first, "role"), hint)


def _split(spec: Spec, facts: Mapping[str, ColumnFact], rows: int | None) -> Iterator[Problem]:
    """Parts that would be empty, and columns that cannot be split by."""
    data = spec.data
    target = facts.get(data.target) if known(data.target) else None
    exact = target is not None and not target.missing and not may_drop(data)
    if exact and rows is not None and whole(data.split):
        yield from _parts(data.split, rows)
    folds = spec.evaluate.cross_validation if known(spec.evaluate) else None
    cv = spec.search.cv if known(spec.search) else None
    for where, by in ((SPLIT, data.split), (FOLDS, folds), (("search", "cv"), cv)):
        if by is None or not known(by, data.target, data.columns):
            continue
        for place, name, use in used_columns(by, where):
            if name != data.target:
                yield from _split_column(data, facts, place, name, use, exact)
        if by.kind == "time" and known(by.column) and by.column in facts:
            yield from _moments(by, where, facts[by.column])


def _parts(split: Split, rows: int) -> Iterator[Problem]:
    if sum(size for _, size in wanted_sizes(split)) >= 1:
        return
    asked = asked_parts(split)
    for name, size in (part_sizes(split, rows) or {}).items():
        if not size and name in asked:
            key = "test_size" if name == "train" else f"{name}_size"
            counted = "1 row leaves" if rows == 1 else f"{rows} rows leave"
            message = f"{counted} none for the {name} part"
            hint = "give more rows, or another share"
            yield problem("split", message, ("data", "split", key), hint)


# What a row without a value lacks, and the role of a column that is kept to split by.
_LACKS = {
    "time": ("have no place in time", "time"),
    "group": ("belong to no group", "group"),
    "key": ("have no key", "id"),
    "part": ("belong to no part", "id"),
}


def _split_column(
    data: Data,
    facts: Mapping[str, ColumnFact],
    where: KeyPath,
    name: str,
    use: Use,
    exact: bool,
) -> Iterator[Problem]:
    lacks, role = _LACKS[use]
    kept = f"give it the role {role}: kept to split by, and out of the model"
    if name not in facts:
        yield from _no_column(name, facts, where)
        return
    stated = role_of(dict(data.columns), name)
    if not known(stated):
        return
    if stated == "ignore":
        message = f"the column {name!r} is ignored (data.columns.{name}.role)"
        yield problem("impossible", message, where, kept)
    elif use == "time" and facts[name].type not in _SORTABLE:
        held = IN_PLAIN_WORDS[facts[name].type]
        message = f"the column {name!r} holds {held}: no dates and no numbers"
        hint = "dates and times are read in the form 2024-01-31 12:00:00 (ISO 8601)"
        yield problem("impossible", message, where, hint)
    elif facts[name].missing and exact:
        message = f"the column {name!r} is missing in some rows, which {lacks}"
        hint = "split by another column, or mend these rows"
        yield problem("impossible", message, where, hint)
    elif use == "part" and where[:2] == SPLIT and stated == "feature":
        message = f"the column {name!r} says which part a row is in, and would be a feature"
        yield problem("impossible", message, where, kept)


def _moments(by: Any, where: KeyPath, fact: ColumnFact) -> Iterator[Problem]:
    """Cuts and gaps that are of another type than the column."""
    if fact.type not in _SORTABLE:
        return
    dates = fact.type in ("timestamp", "timestamp_utc")
    for name in ("cut", "validation_cut", "gap"):
        value = getattr(by, name, None)
        if value is None or not known(value):
            continue
        fault = (span_fault if name == "gap" else moment_fault)(value, dates)
        if fault is None and dates and name != "gap":
            fault = _zone_fault(str(value), fact)
        if fault is not None:
            yield problem("impossible", fault[0], (*where, name), fault[1])


def _zone_fault(text: str, fact: ColumnFact) -> tuple[str, str] | None:
    """A moment in a zone among times without one: which of them it means cannot be told."""
    try:
        zoned = moment(text)[1]
    except (ValueError, OverflowError):  # told already
        return None
    if zoned and fact.type == "timestamp":
        return f"the column holds times without a zone, and {text!r} has one", "leave it out"
    return None


def _features(
    spec: Spec, facts: Mapping[str, ColumnFact], pinned: Pinned, levels: tuple[str, ...]
) -> tuple[list[Problem], _Facts | None]:
    """Columns whose own list does not take them, and the features that there are."""
    family, data = FAMILIES[spec.model.family], spec.data
    own = spec.prepare.columns if known(spec.prepare.columns) else {}
    typed = {name for name, column in data.columns if column.type} if known(data.columns) else ()
    sorts: tuple[Sort, ...] | None = ()
    starts = {fact.name: start for fact, start in _starts(data, facts)}
    derived, wrong = _derived(spec, pinned)
    found = [*wrong]
    for name, start in {**starts, **derived}.items():
        chain = own[name] if name in own else getattr(spec.prepare, start)
        where = ("prepare", "columns", name)
        if name in own and name not in typed:
            misplaced = chain_problem(chain, start, family, where)
            found += [misplaced] if misplaced else []
        made = sorts_of(chain, start, family) if known(chain) else None
        sorts = None if sorts is None or made is None else (*sorts, *made)
    if starts and sorts == ():
        message = "the preparations drop every column, so there is nothing to learn from"
        hint = "keep a column"
        return [*found, problem("no-features", message, ("prepare", "columns"), hint)], None
    sure = known(data.columns) and not wrong
    return found, _Facts(sorts=sorts if sure else None, levels=levels)


def _derived(spec: Spec, pinned: Pinned) -> tuple[dict[str, Sort], list[Problem]]:
    """The sorts of the derived columns, and what of them and of conditions does not fit."""
    data, prepare = spec.data, spec.prepare
    if not known(prepare.derive, prepare.rows) or not whole((data.columns, data.target)):
        return {}, []
    columns = sorts_of_columns(data, pinned, roles=("feature",))
    kept = sorts_of_columns(data, pinned, roles=tuple(r for r in ROLES if r != "ignore"))
    every = sorts_of_columns(data, pinned, roles=ROLES)
    found, derived = derived_problems(spec, columns, every)
    found += condition_problems(prepare.rows, {**kept, **derived}, data.target)
    return derived, found


def _starts(data: Data, facts: Mapping[str, ColumnFact]) -> Iterator[tuple[ColumnFact, Sort]]:
    """The feature columns in order, each with the type that preparations start from."""
    stated = dict(data.columns) if known(data.columns, data.target) else {}
    for name, fact in sorted(facts.items()) if known(data.target) else ():
        column: Column | None = stated.get(name)
        if name == data.target or role_of(stated, name) != "feature":
            continue
        if column is None or known(column, column.type):
            yield fact, cast(Sort, feature_type(fact, column))


def _misfits(spec: Spec, facts: _Facts) -> Iterator[Problem]:
    """Parameters that do not fit the features, and weights of classes that there are not."""
    family: Family = FAMILIES[spec.model.family]
    if not known(spec.model.params, spec.data.task) or spec.data.task not in family.tasks:
        return
    yield from _named_classes(spec, facts.levels)
    classes = 0 if spec.data.task == "regression" else len(facts.levels)
    for found in family.misfits(spec.model.params, facts.sorts, classes):
        yield problem_of(found, "impossible")


def _named_classes(spec: Spec, levels: tuple[str, ...]) -> Iterator[Problem]:
    stated = spec.model.class_weight
    for name in stated if isinstance(stated, Map) and levels else ():
        if name not in levels:
            message = f"the target has no class {name!r}"
            hint = suggest(name, levels, "classes")
            yield problem("unknown-key", message, ("model", "class_weight", name), hint)


def _directed(spec: Spec, facts: Mapping[str, ColumnFact]) -> Iterator[Problem]:
    """Names of features that are to be followed: those of a column, or of one of its parts."""
    stated = dict(spec.data.columns) if known(spec.data.columns) else {}
    for name in spec.model.monotone if known(spec.model.monotone) else ():
        column = name if name in facts else name.rpartition(":")[0]
        where = ("model", "monotone", name)
        if column not in facts or name == spec.data.target:
            message = f"the data has no feature {name!r}"
            hint = suggest(name, tuple(facts), "columns")
            yield problem("no-column", message, where, hint, by_key=True)
        elif role_of(stated, column) != "feature":
            message = f"the column {column!r} is no feature (data.columns.{column}.role)"
            yield problem("impossible", message, where, "leave it out", by_key=True)
