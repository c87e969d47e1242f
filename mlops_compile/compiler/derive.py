"""Derived columns and conditions on rows: what of them is wrong, without and with the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from mlops_compile.compiler.read import Reader, known, whole
from mlops_compile.compiler.spec import Data, Prepare, Spec
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.code import is_function_name
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.columns import feature_type, role_of
from mlops_compile.steps.conditions import FORMS, condition, unfit_constant
from mlops_compile.steps.derive import FUNCTION, KINDS, Derived, in_order
from mlops_compile.steps.preparations.kind import Sort

_DERIVE: KeyPath = ("prepare", "derive")
_ROWS: KeyPath = ("prepare", "rows")


def check_derived(reader: Reader, prepare: Prepare, data: Data) -> None:
    """What is wrong with derived columns and conditions by themselves."""
    for number, text in enumerate(prepare.rows if known(prepare.rows) else ()):
        if known(text) and condition(text) is None:
            message, hint = f"{text!r} is no condition", FORMS
            if condition(doubled := text.replace("=", "==", 1)) is not None:
                hint = f"write == : {doubled!r}"
            reader.complain("impossible", message, (*_ROWS, str(number)), hint)
    judged = {}
    for name, spec in prepare.derive if known(prepare.derive) else ():
        if not whole(spec):
            continue
        found = [*_structure(name, spec, data)]
        reader.problems += found
        if not found:
            judged[name] = spec.columns
    for name in sorted({*judged} - {*in_order(judged)}):
        message = "is computed from itself, over " + ", ".join(judged[name])
        hint = "break the circle"
        if name in judged[name]:
            hint = "give the new column a name of its own"
        reader.complain("impossible", message, (*_DERIVE, name), hint, by_key=True)


def _structure(name: str, spec: Derived, data: Data) -> Iterator[Problem]:
    where = (*_DERIVE, name)
    listed = f"{', '.join(KINDS)} or {FUNCTION}"
    if not name.strip():
        yield problem("impossible", "a column needs a name", where, by_key=True)
    if known(data.target) and name == data.target:
        hint = "take another name"
        yield problem("impossible", "is the name of the target", where, hint, by_key=True)
    if not spec.kinds:
        hint = f"give it {listed}, for example ratio: [a, b]"
        yield problem("missing-value", "must say what it is", where, hint, by_key=True)
        return
    if len(spec.kinds) > 1:
        message = f"is {' and '.join(spec.kinds)} at once"
        yield problem("impossible", message, where, "make two columns of it", by_key=True)
        return
    yield from _of_kind(spec, where)
    if known(data.target) and data.target in spec.columns:
        message = f"is computed from the target, {data.target!r}, which nobody knows beforehand"
        yield problem("impossible", message, where, "take another column", by_key=True)


def _of_kind(spec: Derived, where: KeyPath) -> Iterator[Problem]:
    if spec.kind != FUNCTION:
        for option in ("inputs", "type", "version"):
            if getattr(spec, option):
                message = f"is for a function, and this is a {spec.kind}"
                yield problem("impossible", message, (*where, option), "leave it out")
        _, least, most = KINDS[spec.kind]
        count = len(spec.columns)
        if count < least or (most is not None and count > most):
            wanted = "two columns" if most == 2 else "two columns or more"
            message = f"a {spec.kind} is of {wanted}, not of {count}"
            hint = f"for example {spec.kind}: [a, b]"
            yield problem("impossible", message, (*where, spec.kind), hint)
        return
    assert spec.function is not None
    if not is_function_name(spec.function):
        message = f"{spec.function!r} is not package.module.name"
        hint = "for example features.ratios.per_person, of code.roots/features/ratios.py"
        yield problem("impossible", message, (*where, FUNCTION), hint)
    for option, hint in (
        ("inputs", "name the columns in the order of its parameters: inputs: [a, b]"),
        ("type", "say what it gives: type: numeric, categorical, boolean or datetime"),
    ):
        if not getattr(spec, option):
            message = "must be given for a function"
            yield problem("missing-value", message, (*where, option), hint)


def sorts_of_columns(data: Data, pinned: Pinned, *, roles: tuple[str, ...]) -> dict[str, Sort]:
    """The types of the data's columns that have one of some roles, without the target."""
    stated = dict(data.columns)
    return {
        fact.name: cast(Sort, feature_type(fact, stated.get(fact.name)))
        for fact in pinned.table.columns
        if fact.name != data.target and role_of(stated, fact.name) in roles
    }


def derived_problems(
    spec: Spec, columns: Mapping[str, Sort], every: Mapping[str, Sort]
) -> tuple[list[Problem], dict[str, Sort]]:
    """What of the derived columns does not fit the data, and the sorts of those that do, in the
    order in which they are computed. `columns` are the features, `every` all columns there are."""
    specs = {name: item for name, item in spec.prepare.derive if whole(item) and item.kinds}
    sorts: dict[str, Sort] = {}
    found: list[Problem] = []
    for name in in_order({name: item.columns for name, item in specs.items()}):
        where = (*_DERIVE, name)
        if name in every:
            message = "the data has a column of this name"
            found.append(problem("impossible", message, where, "take another name", by_key=True))
        told = {*specs, spec.data.target}  # what is wrong with these is told already
        wrong = [*_inputs(specs[name], {**columns, **sorts}, every, told, where)]
        found += wrong
        if not wrong:
            sorts[name] = cast(Sort, specs[name].sort)
    return found, sorts


def _inputs(
    spec: Derived,
    sorts: Mapping[str, Sort],
    every: Mapping[str, Sort],
    told: set[str],
    where: KeyPath,
) -> Iterator[Problem]:
    key = "inputs" if spec.kind == FUNCTION else spec.kind
    for number, name in enumerate(spec.columns):
        if name in sorts or name in told:
            continue
        message, hint = f"there is no column {name!r}", suggest(name, tuple(sorts), "columns")
        if name in every:
            message = f"the column {name!r} is no feature, so a request does not hold it"
            hint = f"give it the role feature, and leave it out with prepare.columns.{name}: [drop]"
        yield problem("no-column", message, (*where, key, str(number)), hint)
    if spec.kind == FUNCTION or not all(name in sorts for name in spec.columns):
        return
    taken = [sorts[name] for name in spec.columns]
    fitting = KINDS[spec.kind][0]
    if not any(all(sort in group for sort in taken) for group in fitting):
        held = ", ".join(f"{n} ({s})" for n, s in zip(spec.columns, taken, strict=True))
        wanted = "numbers, or of times" if len(fitting) > 1 else "numbers"
        message = f"a {spec.kind} is of {wanted}, and these are {held}"
        hint = "take other columns, or a function of yours"
        yield problem("column-type", message, (*where, key), hint)
    elif spec.unit != "days" and taken[0] != "datetime":
        message = f"is of a difference of times, and this is one of {taken[0]} columns"
        yield problem("impossible", message, (*where, "unit"), "leave it out")


def condition_problems(
    rows: tuple[str, ...], sorts: Mapping[str, Sort], target: str
) -> list[Problem]:
    """Conditions on columns that are not there, or of another type."""
    found = []
    for number, text in enumerate(rows):
        wanted = condition(text)
        where = (*_ROWS, str(number))
        if wanted is None:
            continue
        if wanted.column not in sorts:
            hint = suggest(wanted.column, tuple(sorts), "columns")
            message = f"there is no column {wanted.column!r}"
            if wanted.column == target:
                message = f"{target!r} is the target, by which rows are not chosen here"
                hint = "take another column"
            found.append(problem("no-column", message, where, hint))
        elif why := unfit_constant(wanted, sorts[wanted.column]):
            found.append(problem("column-type", f"{text!r}: {why}", where, FORMS))
    return found


def unasked(spec: Spec, pinned: Pinned) -> frozenset[str]:
    """The feature columns that a service need not be asked for: those that are dropped, and that
    nothing is derived from."""
    prepare = spec.prepare
    taken = {name for _, derived in prepare.derive for name in derived.columns}
    found = set()
    for name, sort in sorts_of_columns(spec.data, pinned, roles=("feature",)).items():
        chain = prepare.columns.get(name, getattr(prepare, sort))
        if isinstance(chain, tuple) and any(isinstance(e, Map) and "drop" in e for e in chain):
            found.add(name)
    return frozenset(found - taken)
