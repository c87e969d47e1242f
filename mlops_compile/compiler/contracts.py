"""What columns and rows are to be: rules that contradict themselves, each other, or the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from mlops_compile.compiler.read import known
from mlops_compile.compiler.spec import Data
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.source import ColumnFact
from mlops_compile.ir.value import KeyPath, dotted
from mlops_compile.steps.columns import Column, feature_type, moment, pattern_fault

_COLUMNS: KeyPath = ("data", "columns")
_ROWS: KeyPath = ("data", "rows")
# Which rules there are for a type of column.
_RULES: Mapping[str, tuple[str, ...]] = {
    "numeric": ("low", "high", "choices"),
    "datetime": ("low", "high"),
    "categorical": ("choices", "pattern"),
    "boolean": ("choices",),
}
_VALUES = {"numeric": "numbers", "boolean": "true or false", "categorical": "texts"}


def column_problems(name: str, column: Column, data: Data) -> Iterator[Problem]:
    """What of a column's rules cannot be, whatever the data holds."""
    where = (*_COLUMNS, name)
    if known(column.low, column.high) and (found := _empty(column.low, column.high)):
        first, last = (f"{b:g}" if isinstance(b, float) else b for b in (column.low, column.high))
        message = f"no value is both at least {first} and at most {last}"
        yield problem("impossible", message, (*where, "low"), found)
    if known(column.pattern) and column.pattern and (fault := pattern_fault(column.pattern)):
        message = f"is no regular expression: {fault}"
        hint = "it is one of RE2: no look-around, no references to groups"
        yield problem("wrong-value", message, (*where, "pattern"), hint)
    if known(column.nullable, column.violation) and (
        column.nullable is False and column.violation == "missing"
    ):
        message = "values that break a rule would be set missing, and none may be (nullable: false)"
        yield problem("impossible", message, (*where, "violation"), "take drop or fail")
    if known(column.role, column.sensitive) and column.sensitive and column.role == "segment":
        message = "results are told by the values of a segment, and these are sensitive"
        hint = "name it in evaluate.segments instead, where its levels are numbered and not named"
        yield problem("impossible", message, (*where, "role"), hint)
    if known(data.target) and name == data.target:
        yield from _of_target(column, data, where)


def _of_target(column: Column, data: Data, where: KeyPath) -> Iterator[Problem]:
    if known(column.nullable) and column.nullable is not None:
        message = "the target is known in every row that is learned from"
        hint = "data.missing_target says what happens with rows where it is missing"
        yield problem("impossible", message, (*where, "nullable"), hint)
    if known(column.sensitive, data.task) and column.sensitive and data.task != "regression":
        message = "the classes are what the service answers, so they cannot be kept back"
        hint = "leave it out, or give the classes other names in the data"
        yield problem("impossible", message, (*where, "sensitive"), hint)
    if known(column.unique, data.task) and column.unique and data.task != "regression":
        message = "each class would stand in one row"
        yield problem("impossible", message, (*where, "unique"), "leave it out")


def rows_problems(data: Data) -> Iterator[Problem]:
    """What of the table's rules cannot be, whatever the data holds."""
    if not known(data.rows):
        return
    low, high, keys = data.rows.low, data.rows.high, data.rows.keys
    if known(low, high) and low is not None and high is not None and low > high:
        message = f"no table has at least {low} rows and at most {high}"
        yield problem("impossible", message, (*_ROWS, "low"))
    for number, names in enumerate(keys if known(keys) else ()):
        where = (*_ROWS, "keys", str(number))
        if not names:
            yield problem("wrong-value", "names no column", where, "for example [customer, day]")
        elif twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"names the column {twice[0]!r} twice"
            yield problem("wrong-value", message, where, "name each once")


def fact_problems(
    data: Data, facts: Mapping[str, ColumnFact], rows: int | None
) -> Iterator[Problem]:
    """What of the rules the facts of the data show to be wrong or broken."""
    for name, column in data.columns if known(data.columns) else ():
        if name in facts and known(column):
            yield from _misfits(name, column, facts[name])
            if known(column.nullable, column.violation) and (
                column.nullable is False and column.violation == "fail" and facts[name].missing
            ):
                message = "values are missing in some rows, and none may be"
                hint = f"mend them, or set {dotted((*_COLUMNS, name))}.violation=drop"
                yield problem("violation", message, (*_COLUMNS, name, "nullable"), hint)
    if known(data.rows):
        yield from _rows(data, facts, rows)


def _misfits(name: str, column: Column, fact: ColumnFact) -> Iterator[Problem]:
    """Rules that there are not for the column's type, and values that it cannot hold."""
    if not known(column.type):
        return
    sort = feature_type(fact, column)
    where = (*_COLUMNS, name)
    for rule in ("low", "high", "choices", "pattern"):
        value = getattr(column, rule)
        if not known(value) or value is None or value in ((), ""):
            continue
        if rule not in _RULES[sort]:
            message = f"the column is {sort}, and such values have no {_NAMES[rule]}"
            hint = f"for {sort} columns there are {', '.join(_RULES[sort])} and unique"
            yield problem("impossible", message, (*where, rule), hint)
        elif rule == "choices":
            yield from _choices(column, sort, where)
        elif rule != "pattern" and (message := _bound(value, sort, fact)):
            yield problem("wrong-type", message, (*where, rule))


_NAMES = {
    "low": "least value",
    "high": "greatest value",
    "choices": "choices",
    "pattern": "pattern",
}


def _choices(column: Column, sort: str, where: KeyPath) -> Iterator[Problem]:
    for number, choice in enumerate(column.choices):
        fit = {
            "numeric": isinstance(choice, int | float) and not isinstance(choice, bool),
            "boolean": isinstance(choice, bool),
            "categorical": isinstance(choice, str),
        }[sort]
        if not fit:
            message = f"the column is {sort}, so its choices are {_VALUES[sort]}"
            hint = f'write "{choice}"' if sort == "categorical" else ""
            yield problem("wrong-type", message, (*where, "choices", str(number)), hint)


def _bound(value: float | str, sort: str, fact: ColumnFact) -> str:
    """Why a bound is none of the column's type; empty if it is."""
    if sort == "numeric":
        return "" if not isinstance(value, str) else "the column is numeric, and this is a text"
    time = moment(value) if isinstance(value, str) else None
    if time is None:
        return "must be a date or time in the form 2024-01-31 12:00:00 (ISO 8601)"
    if time.tzinfo is not None and fact.type == "timestamp":
        return "the times of the column have no zone, and this has one"
    return ""


def _empty(low: float | str | None, high: float | str | None) -> str:
    """What to do about bounds between which nothing lies; empty if something does."""
    first, last = (moment(bound) if isinstance(bound, str) else bound for bound in (low, high))
    if isinstance(first, datetime) and isinstance(last, datetime):
        is_empty = first.replace(tzinfo=None) > last.replace(tzinfo=None)
    elif isinstance(first, float) and isinstance(last, float):
        is_empty = first > last
    else:
        return ""
    return "exchange them" if is_empty else ""


def _rows(data: Data, facts: Mapping[str, ColumnFact], rows: int | None) -> Iterator[Problem]:
    low, high = data.rows.low, data.rows.high
    dropped = may_drop(data)
    if rows is not None and known(low) and low is not None and rows < low:
        message = f"the data has {rows} rows, and at least {low} are asked for"
        yield problem("violation", message, (*_ROWS, "low"), "bring more rows, or lower it")
    if rows is not None and known(high) and high is not None and rows > high and not dropped:
        message = f"the data has {rows} rows, and at most {high} are allowed"
        yield problem("violation", message, (*_ROWS, "high"), "raise it, or bring fewer rows")
    keys = data.rows.keys
    for number, names in enumerate(keys if known(keys) else ()):
        for position, name in enumerate(names):
            if name not in facts:
                where = (*_ROWS, "keys", str(number), str(position))
                hint = suggest(name, tuple(facts), "columns")
                yield problem("no-column", f"the data has no column {name!r}", where, hint)


def may_drop(data: Data) -> bool:
    """Whether validating may leave rows out, so that their number is not known before."""
    if not known(data.columns, data.missing_target, data.rows):
        return True
    by_column = any(not known(column) or column.violation == "drop" for _, column in data.columns)
    by_target = data.missing_target == "drop"
    return by_column or by_target or data.rows.duplicates == "drop"
