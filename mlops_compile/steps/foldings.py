"""Kinds of folds, declared: the keys under `evaluate.cross_validation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mlops_compile.ir.schema import key
from mlops_compile.steps.registry import Variant, table

MOST_FOLDS = 100
# The step that makes the folds of a search, which stand under `search.cv`.
SEARCH_FOLDS = "search/folds"
_FOLDS = "how many folds there are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """How many folds there are."""

    folds: int = key(_FOLDS, default=5, low=2, high=MOST_FOLDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFolds(Folds):
    """Rows at random, as scikit-learn's shuffled KFold."""

    kind: str = key("random", choices=("random",))


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedFolds(Folds):
    """The same shares of each class in every fold, as StratifiedKFold, and with `group` as
    StratifiedGroupKFold."""

    kind: str = key("stratified", choices=("stratified",))
    group: str | None = key(
        "a column whose rows of one value stay together; shares are met as near as groups allow",
        default=None,
        filled=True,
    )
    bins: int | None = key(
        "in a regression: the target's values in so many quantile bins are the classes",
        default=None,
        low=2,
        high=1000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFolds(Folds):
    """Whole groups, in folds that are as equal as that allows, as GroupKFold."""

    kind: str = key("group", choices=("group",))
    column: str = key("the column whose rows of one value stay together", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFolds(Folds):
    """Each fold tests on a block of rows and trains on what is earlier, as TimeSeriesSplit."""

    kind: str = key("time", choices=("time",))
    column: str = key(
        "the datetime (or numeric) column to sort by; rows of one time stay together", filled=True
    )
    window: int | None = key(
        "sliding: train on so many blocks before the tested one; null: on all that is earlier",
        default=None,
        low=1,
    )
    gap: float | str | None = key(
        "rows less than this before the tested block are left out: 7d, 12h, 30min, 45s, or a"
        " number for a numeric column",
        default=None,
        low=0,
        filled=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HashFolds(Folds):
    """By a hash of key columns: a row keeps its fold when rows are added, removed or reordered."""

    kind: str = key("hash", choices=("hash",))
    columns: tuple[str, ...] = key("the columns that make the key of a row", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFolds(Folds):
    """A fold for each value of a column; `folds` says how many there are."""

    kind: str = key("column", choices=("column",))
    column: str = key("the column that names the fold of each row", filled=True)


Folding: TypeAlias = (
    RandomFolds | StratifiedFolds | GroupFolds | TimeFolds | HashFolds | ColumnFolds
)


FOLDS: Mapping[str, Variant] = table(
    "kind of folds",
    Variant(name="random", spec=RandomFolds),
    Variant(name="stratified", spec=StratifiedFolds),
    Variant(name="group", spec=GroupFolds),
    Variant(name="time", spec=TimeFolds),
    Variant(name="hash", spec=HashFolds),
    Variant(name="column", spec=ColumnFolds),
)


def fold_ports(folds: int) -> tuple[str, ...]:
    """The outputs of the `folds` step."""
    return tuple(
        f"{part}_{number}"
        for number in range(1, folds + 1)
        for part in ("train", "validation", "test")
    )
