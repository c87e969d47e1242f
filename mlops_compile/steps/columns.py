"""Columns by their contract: type, role and rules as a config states them, or storage suggests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mlops_compile.ir.contract import FEATURE_TYPES
from mlops_compile.ir.schema import key
from mlops_compile.ir.source import ColumnFact
from mlops_compile.ir.value import Value

ROLES = ("feature", "id", "weight", "time", "group", "segment", "ignore")
MARK = "mlops:test"
"""The column by which the rows of `data.test` are known once they stand among the others."""

_USUAL: Mapping[str, str] = {
    "bool": "boolean",
    "int64": "numeric",
    "float64": "numeric",
    "timestamp": "datetime",
    "timestamp_utc": "datetime",
    "string": "categorical",
}
_STORED: Mapping[str, str | None] = {
    "numeric": None,
    "categorical": "string",
    "datetime": "timestamp",
    "boolean": "bool",
}
_FITS: Mapping[str, tuple[str, ...]] = {
    "numeric": ("int64", "float64"),
    "categorical": ("string",),
    "datetime": ("timestamp", "timestamp_utc"),
    "boolean": ("bool",),
}


VIOLATIONS = ("fail", "drop", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`data.columns.NAME`: what is to be known of a column, and what must hold of its values."""

    type: str | None = key(
        "numeric, categorical, datetime or boolean; left out: as the data looks",
        default=None,
        choices=FEATURE_TYPES,
    )
    role: str = key(
        "feature; kept out of the model: id, weight (how much a row counts), time, group, segment;"
        " dropped: ignore",
        default="feature",
        choices=ROLES,
    )
    nullable: bool | None = key(
        "whether a value may be missing, in the data and in requests; left out: as the data looks",
        default=None,
    )
    low: float | str | None = key(
        "the least value of numbers, or the first of times (ISO 8601)", default=None
    )
    high: float | str | None = key(
        "the greatest value of numbers, or the last of times (ISO 8601)", default=None
    )
    choices: tuple[bool | int | float | str, ...] = key(
        "the values that there may be; left empty: any", default=()
    )
    pattern: str = key(
        "a regular expression (RE2) that whole texts must match; left empty: any", default=""
    )
    unique: bool = key("whether no value may stand in two rows", default=False)
    sensitive: bool = key(
        "whether its values are to appear in no log, report, card, example or message",
        default=False,
    )
    violation: str = key(
        "what happens where a value breaks a rule: fail, drop the row, or set the value missing",
        default="fail",
        choices=VIOLATIONS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """`data.rows`: what must hold of the table, once rows are dropped by the rules of columns."""

    low: int | None = key("the least number of rows", default=None, low=0)
    high: int | None = key("the greatest number of rows", default=None, low=0)
    duplicates: str = key(
        "rows that are equal to an earlier one in every column but ignored ones: allow, fail, drop",
        default="allow",
        choices=("allow", "fail", "drop"),
    )
    keys: tuple[tuple[str, ...], ...] = key(
        "lists of columns whose values together may stand in one row only", default=()
    )


def rules_of(column: Column) -> tuple[str, ...]:
    """The keys by which a column states a rule of its values."""
    stated = {
        "nullable": column.nullable is False,
        "low": column.low is not None,
        "high": column.high is not None,
        "choices": bool(column.choices),
        "pattern": bool(column.pattern),
        "unique": column.unique,
    }
    return tuple(name for name, is_stated in stated.items() if is_stated)


def moment(text: str) -> datetime | None:
    """The time of an ISO 8601 text; None if it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern is no regular expression of RE2, by which values are matched in linear time.

    Imports pyarrow, and is asked only where a config has a pattern.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.nulls(1, pa.string()), pattern)
    except pa.ArrowInvalid as error:
        return str(error).partition(": ")[2]
    return None


def whole(pattern: str) -> str:
    """The pattern of texts that match one from their beginning to their end."""
    return rf"\A(?:{pattern})\z"


def choice_text(choice: Value) -> str:
    """A choice as texts of the data are: the class that `true` or `1` means."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def left_levels(levels: tuple[str, ...], column: Column | None) -> tuple[str, ...]:
    """The levels of a target once those that are none of its choices are dropped."""
    if column is None or not column.choices or column.violation == "fail":
        return levels
    allowed = {choice_text(choice) for choice in column.choices}
    return tuple(level for level in levels if level in allowed)


def role_of(stated: Mapping[str, Column], name: str) -> str:
    """The role of a column, stated or not; `part` is that of the mark of test rows."""
    if name == MARK:
        return "part"
    return stated[name].role if name in stated else "feature"


def sendable(name: str) -> bool:
    """Whether a field of a request can have this name (a limit of the service's decoder)."""
    return not any(char in '"\\' or char < " " for char in name)


def storage_type(column: Column) -> str | None:
    """The storage type that a stated column type asks for; None: whatever is found. Times that have
    a zone are timestamp_utc all the same."""
    return _STORED[column.type] if column.type else None


def feature_type(fact: ColumnFact, column: Column | None) -> str:
    """The feature type of a column that was found."""
    return column.type if column is not None and column.type else _USUAL[fact.type]


def fits(fact: ColumnFact, column: Column) -> bool:
    """Whether what was found can be the stated type."""
    return column.type is None or fact.type in _FITS[column.type]


def class_order(levels: tuple[str, ...], task: str, positive: Value) -> list[str]:
    """Classes in code point order; in a binary task the positive one (else the last) is last."""
    found = sorted(levels)
    if task == "binary" and positive is not None and positive in found:
        found.remove(str(positive))
        found.append(str(positive))
    return found
