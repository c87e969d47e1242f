"""Kinds of splits, declared: the keys under `data.split`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mlops_compile.ir.schema import key, to_value
from mlops_compile.ir.value import Map
from mlops_compile.steps.registry import Variant, table

# The column that marks the rows of `data.test`, written when sources are combined.
TEST_ROWS = "mlops:test"
OWN_PARTS = ("early_stopping", "threshold", "calibration")
PARTS = ("train", "validation", "test", *OWN_PARTS)
# The value of `parts` that leaves rows out.
NO_PART = "none"
# In what order parts are taken from the rows: what is added later takes from the rest, which
# trains, and the parts before it stay what they were.
_TAKEN = ("test", "validation", *OWN_PARTS)
# By time, the latest first.
LATEST = ("test", "threshold", "calibration", "validation", "early_stopping")

_TEST = "share of the rows that is kept apart to test on"
_VALIDATION = "share of the rows for early stopping and choices, taken from the rest"
_EARLY = "share of the rows for early stopping alone; 0: the validation part is used"
_THRESHOLD = "share of the rows to choose a threshold on; 0: the validation part is used"
_CALIBRATION = "share of the rows to calibrate on; 0: the validation part is used"

Use: TypeAlias = Literal["time", "group", "key", "part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceSizes:
    """The sizes of the parts on which choices are made."""

    validation_size: float = key(_VALIDATION, default=0.0, low=0, high=1, high_open=True)
    early_stopping_size: float = key(_EARLY, default=0.0, low=0, high=1, high_open=True)
    threshold_size: float = key(_THRESHOLD, default=0.0, low=0, high=1, high_open=True)
    calibration_size: float = key(_CALIBRATION, default=0.0, low=0, high=1, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(ChoiceSizes):
    """The sizes of all parts but the training part, which gets the rest."""

    test_size: float = key(_TEST, default=0.2, low=0, high=1, low_open=True, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSplit(Sizes):
    """Rows at random."""

    kind: str = key("random", choices=("random",))


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedSplit(Sizes):
    """Rows at random, with the same shares of each class in every part."""

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
class GroupSplit(Sizes):
    """Whole groups at random: the rows of one group are in one part, as near to the sizes as that
    allows."""

    kind: str = key("group", choices=("group",))
    column: str = key("the column whose rows of one value stay together", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashSplit(Sizes):
    """By a hash of key columns: a row keeps its part when rows are added, removed or reordered.

    The sizes are expected, not exact.
    """

    kind: str = key("hash", choices=("hash",))
    columns: tuple[str, ...] = key("the columns that make the key of a row", filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit(Sizes):
    """The latest rows are the test part, those before them the validation part."""

    kind: str = key("time", choices=("time",))
    column: str = key(
        "the datetime (or numeric) column to sort by; rows of one time stay together", filled=True
    )
    cut: float | str | None = key(
        "the date or number from which on rows are the test part, in place of test_size",
        default=None,
        filled=True,
    )
    validation_cut: float | str | None = key(
        "the date or number from which on rows are the validation part, in place of"
        " validation_size",
        default=None,
        filled=True,
    )
    gap: float | str | None = key(
        "rows less than this before a later part belong to no part: 7d, 12h, 30min, 45s, or a"
        " number for a numeric column",
        default=None,
        low=0,
        filled=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RestSizes(ChoiceSizes):
    """How the parts on which choices are made are taken from rows that are to train."""

    take: str = key(
        "how validation_size and the other sizes are taken from the rows that are to train:"
        " random, stratified; group or time (with `by`)",
        default="random",
        choices=("random", "stratified", "group", "time"),
    )
    by: str | None = key("the column of take=group or take=time", default=None, filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSplit(RestSizes):
    """A column of the data says in which part a row is."""

    kind: str = key("column", choices=("column",))
    column: str = key("the column that names the part of each row", filled=True)
    parts: Map = key(
        "from the column's values to train, validation, test, early_stopping, threshold,"
        " calibration, or none (in no part)",
        default=Map({"train": "train", "test": "test"}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSplit(RestSizes):
    """The rows of `data.test` are the test part, those of `data.source` the others."""

    kind: str = key("file", choices=("file",))


Split: TypeAlias = (
    RandomSplit | StratifiedSplit | GroupSplit | HashSplit | TimeSplit | ColumnSplit | FileSplit
)


SPLITS: Mapping[str, Variant] = table(
    "split kind",
    Variant(name="random", spec=RandomSplit),
    Variant(name="stratified", spec=StratifiedSplit),
    Variant(name="group", spec=GroupSplit),
    Variant(name="time", spec=TimeSplit),
    Variant(name="hash", spec=HashSplit),
    Variant(name="column", spec=ColumnSplit),
    Variant(name="file", spec=FileSplit),
)


def asked_parts(spec: Split) -> tuple[str, ...]:
    """The parts that a split is asked for, which may not come out empty."""
    named = set(spec.parts.values()) if isinstance(spec, ColumnSplit) else {"train", "test"}
    if isinstance(spec, TimeSplit) and spec.validation_cut is not None:
        named.add("validation")
    named |= {name for name, size in choice_sizes(spec) if size}
    return tuple(name for name in PARTS if name in named)


def choice_sizes(spec: Split) -> tuple[tuple[str, float], ...]:
    """The sizes of the parts on which choices are made, in the order in which they are taken."""
    return tuple((name, getattr(spec, f"{name}_size")) for name in _TAKEN[1:])


def wanted_sizes(spec: Split) -> tuple[tuple[str, float], ...]:
    """The sizes of the parts that are taken by size, in the order in which they are taken."""
    test = (("test", spec.test_size),) if isinstance(spec, Sizes) else ()
    return (*test, *choice_sizes(spec))


def effective(spec: Split) -> Map:
    """The keys that a split goes by, those left at their default too. What is not set, the size of
    a part that there is not, and a size in place of which a cut stands, are none."""
    idle = {f"{name}_size" for name, size in wanted_sizes(spec) if not size}
    if isinstance(spec, TimeSplit):
        cuts = {"test_size": spec.cut, "validation_size": spec.validation_cut}
        idle |= {size for size, cut in cuts.items() if cut is not None}
    if isinstance(spec, ColumnSplit | FileSplit) and not any(dict(wanted_sizes(spec)).values()):
        idle |= {"take", "by"}
    held = to_value(spec)
    assert isinstance(held, Map)
    return Map({n: value for n, value in held.items() if value is not None and n not in idle})


def draws(params: Map) -> bool:
    """Whether a split, from the value of its keys, draws random numbers."""
    if params["kind"] in ("column", "file"):
        sized = any(params.get(f"{name}_size", 0.0) for name in _TAKEN)
        return sized and params.get("take", "random") != "time"
    return params["kind"] != "time"


def columns_of(spec: Any) -> Iterator[tuple[tuple[str, ...], str, Use]]:
    """The columns by which rows are split: the key that names each, its name, and what for."""
    match spec.kind:
        case "group":
            yield ("column",), spec.column, "group"
        case "stratified" if spec.group is not None:
            yield ("group",), spec.group, "group"
        case "time":
            yield ("column",), spec.column, "time"
        case "column":
            yield ("column",), spec.column, "part"
        case "hash":
            for position, name in enumerate(spec.columns):
                yield ("columns", str(position)), name, "key"
    if getattr(spec, "by", None) is not None and spec.take in ("group", "time"):
        yield ("by",), spec.by, spec.take


def part_sizes(spec: Split, rows: int) -> dict[str, int] | None:
    """The rows of each part, by time before rows of one time are brought together; None where
    what the rows hold decides."""
    sizes = dict(wanted_sizes(spec))
    match spec:
        case RandomSplit() | StratifiedSplit(group=None):
            taken = {name: sum(counts) for name, counts in cut_sizes([rows], sizes.items())}
        case TimeSplit(cut=None, gap=None):
            left, taken = rows, {}
            for name in LATEST:
                taken[name] = min(round(rows * sizes[name]), left)
                left -= taken[name]
        case _:
            return None
    return {"train": rows - sum(taken.values()), **taken}


def cut_sizes(sizes: Sequence[int], wanted: Any) -> list[tuple[str, list[int]]]:
    """How many of each stratum's rows go to each part, taken one after another.

    `wanted` are shares of all rows by part. Shares are rounded over all strata together (largest
    remainders), so that the parts have the sizes that the shares of all rows have.
    """
    total, rest = sum(sizes), [*sizes]
    found = []
    for name, share in wanted:
        left = sum(rest)
        if left != total:
            share = min(1.0, share * total / left) if left else 0.0
        taken = shares(rest, share)
        rest = [size - count for size, count in zip(rest, taken, strict=True)]
        found.append((name, taken))
    return found


def shares(sizes: list[int], share: float) -> list[int]:
    """`share` of each size in whole rows that add up to that share of all."""
    exact = [size * share for size in sizes]
    taken = [int(number) for number in exact]
    missing = round(sum(exact)) - sum(taken)
    by_remainder = sorted(range(len(sizes)), key=lambda n: (taken[n] - exact[n], n))
    for position in by_remainder[:missing]:
        taken[position] += 1
    return taken
