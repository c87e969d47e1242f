"""Columns by their contract: the type and role that a config states, or that storage suggests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_compile.ir.contract import FEATURE_TYPES
from mlops_compile.ir.schema import key
from mlops_compile.ir.source import ColumnFact
from mlops_compile.ir.value import Value

ROLES = ("feature", "id", "weight", "time", "group", "segment", "ignore")
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
    "datetime": None,
    "boolean": "bool",
}
_FITS: Mapping[str, tuple[str, ...]] = {
    "numeric": ("int64", "float64"),
    "categorical": ("string",),
    "datetime": ("timestamp", "timestamp_utc"),
    "boolean": ("bool",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`data.columns.NAME`: what is to be known of a column."""

    type: str | None = key(
        "numeric, categorical, datetime or boolean; left out: as the data looks",
        default=None,
        choices=FEATURE_TYPES,
    )
    role: str = key(
        "feature; kept out of the model: id, weight, time, group, segment; dropped: ignore",
        default="feature",
        choices=ROLES,
    )


def role_of(stated: Mapping[str, Column], name: str) -> str:
    """The role of a column, stated or not."""
    return stated[name].role if name in stated else "feature"


def sendable(name: str) -> bool:
    """Whether a field of a request can have this name (a limit of the service's decoder)."""
    return not any(char in '"\\' or char < " " for char in name)


def storage_type(column: Column) -> str | None:
    """The storage type that a stated column type asks for; None: whatever is found."""
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
