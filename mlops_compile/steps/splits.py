"""Kinds of splits, declared: the keys under `data.split`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.schema import key
from mlops_compile.steps.registry import table

_TEST = "share of the rows that is kept apart to test on"
_VALIDATION = "share of the rows for early stopping and choices, taken from the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSplit:
    """Rows at random."""

    kind: str = key("random", choices=("random",))
    test_size: float = key(_TEST, default=0.2, low=0, high=1, low_open=True, high_open=True)
    validation_size: float = key(_VALIDATION, default=0.0, low=0, high=1, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedSplit:
    """Rows at random, with the same shares of each class in every part."""

    kind: str = key("stratified", choices=("stratified",))
    test_size: float = key(_TEST, default=0.2, low=0, high=1, low_open=True, high_open=True)
    validation_size: float = key(_VALIDATION, default=0.0, low=0, high=1, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """The latest rows are the test part, those before them the validation part."""

    kind: str = key("time", choices=("time",))
    column: str = key(
        "the datetime (or numeric) column to sort by; rows of one time stay together", filled=True
    )
    test_size: float = key(_TEST, default=0.2, low=0, high=1, low_open=True, high_open=True)
    validation_size: float = key(_VALIDATION, default=0.0, low=0, high=1, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitKind:
    """A kind of split and the dataclass of its keys."""

    name: str
    spec: type[Any]


SPLITS: Mapping[str, SplitKind] = table(
    "split kind",
    SplitKind(name="random", spec=RandomSplit),
    SplitKind(name="stratified", spec=StratifiedSplit),
    SplitKind(name="time", spec=TimeSplit),
)


def part_sizes(spec: RandomSplit | StratifiedSplit | TimeSplit, rows: int) -> dict[str, int]:
    """The rows of each part; by time, before rows of one time are brought together."""
    if isinstance(spec, TimeSplit):
        test, validation = round(rows * spec.test_size), round(rows * spec.validation_size)
        validation = min(validation, rows - test)
    else:
        (test,) = shares([rows], spec.test_size)
        left = rows - test
        share = min(1.0, spec.validation_size * rows / left) if left else 0.0
        (validation,) = shares([left], share)
    return {"train": rows - test - validation, "validation": validation, "test": test}


def shares(sizes: list[int], share: float) -> list[int]:
    """`share` of each size in whole rows that add up to that share of all."""
    exact = [size * share for size in sizes]
    taken = [int(number) for number in exact]
    missing = round(sum(exact)) - sum(taken)
    by_remainder = sorted(range(len(sizes)), key=lambda n: (taken[n] - exact[n], n))
    for position in by_remainder[:missing]:
        taken[position] += 1
    return taken
