"""Splits: every row in one part, the parts as large as stated, the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.steps import split
from mlops_compile.steps.splits import OWN_PARTS, RandomSplit, StratifiedSplit, part_sizes
from mlops_compile.steps.tables import write_table
from tests.strategies import Room

NAMES = ("train", "validation", "test")


def cut(
    room: Path, target: Any, seed: int = 0, times: Any = None, **options: Any
) -> dict[str, list[int]]:
    """The parts of a table with this target."""
    room.mkdir(parents=True, exist_ok=True)
    target = pa.array(target)
    if pa.types.is_string(target.type):
        target = target.dictionary_encode()
    columns = {"time": pa.array(times)} if times is not None else {"a": pa.nulls(len(target))}
    inputs = {"target": room / "target", "table": room / "table"}
    write_table(inputs["target"], pa.table({"target": target}))
    write_table(inputs["table"], pa.table(columns))
    work = Room(room).work({"data": {"split": options}}, inputs, NAMES, seed=seed)
    split.run(work)
    return {name: np.load(work.outputs[name]).tolist() for name in NAMES}


def sound(parts: dict[str, list[int]], rows: int) -> None:
    assert sorted(row for part in parts.values() for row in part) == list(range(rows))
    assert all(part == sorted(part) for part in parts.values())


def held(sizes: dict[str, int] | None) -> dict[str, int]:
    assert sizes is not None and not any(sizes[name] for name in OWN_PARTS)
    return {name: sizes[name] for name in NAMES}


shares = st.sampled_from([0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.7])
maybe = st.sampled_from([0.0, 0.1, 0.25])
seeds = st.integers(0, 5)


@given(st.integers(20, 90), shares, maybe, seeds)
def test_random(
    tmp_path_factory: Any, rows: int, test: float, validation: float, seed: int
) -> None:
    room = tmp_path_factory.mktemp("split")
    options = {"kind": "random", "test_size": test, "validation_size": validation}
    parts = cut(room, [0.5] * rows, seed, **options)
    sound(parts, rows)
    assert len(parts["test"]) == round(rows * test)
    assert abs(len(parts["validation"]) - rows * validation) <= 0.5 + 1e-9
    spec = RandomSplit(kind="random", test_size=test, validation_size=validation)
    assert {name: len(part) for name, part in parts.items()} == held(part_sizes(spec, rows))
    assert cut(room, [1.5] * rows, seed, **options) == parts
    assert cut(room, [0.5] * rows, seed + 1, **options) != parts


@given(st.lists(st.integers(12, 40), min_size=2, max_size=4), shares, maybe, seeds)
def test_stratified(
    tmp_path_factory: Any, sizes: list[int], test: float, validation: float, seed: int
) -> None:
    assume(test + validation < 0.9)
    if min(sizes) * test < 1:
        test = 0.25  # else a class may be missing in the test part, which is refused
    room = tmp_path_factory.mktemp("split")
    target = [f"class {n}" for n, size in enumerate(sizes) for _ in range(size)]
    order = np.random.RandomState(0).permutation(len(target))
    target = [target[row] for row in order]
    options = {"kind": "stratified", "test_size": test, "validation_size": validation}
    parts = cut(room, target, seed, **options)
    rows = len(target)
    sound(parts, rows)
    assert abs(len(parts["test"]) - rows * test) <= 0.5 + 1e-9
    assert abs(len(parts["validation"]) - rows * validation) <= 0.5 + 1e-9
    spec = StratifiedSplit(kind="stratified", test_size=test, validation_size=validation)
    assert {name: len(part) for name, part in parts.items()} == held(part_sizes(spec, rows))
    wanted = {"test": test, "validation": validation, "train": 1 - test - validation}
    for name in NAMES:
        # the validation part is cut from what the test part left, so it may be off by one more
        near = 1.0 + 1e-9 if name == "test" else 2.0 + 1e-9
        for level in set(target):
            there = sum(target[row] == level for row in parts[name])
            assert abs(there - target.count(level) * wanted[name]) <= near
    assert cut(room, target, seed, **options) == parts
    assert cut(room, target, seed + 1, **options) != parts


@given(st.lists(st.integers(0, 30), min_size=10, max_size=60), shares, maybe)
def test_by_time(tmp_path_factory: Any, times: list[int], test: float, validation: float) -> None:
    room = tmp_path_factory.mktemp("split")
    options = {"kind": "time", "column": "time", "test_size": test, "validation_size": validation}
    try:
        parts = cut(room, [0.5] * len(times), times=[float(t) for t in times], **options)
    except StepError as error:
        assert "rows leave none" in str(error)
        return
    sound(parts, len(times))
    assert len(parts["test"]) >= round(len(times) * test)
    for earlier, later in (("train", "validation"), ("validation", "test"), ("train", "test")):
        if parts[earlier] and parts[later]:
            assert max(times[r] for r in parts[earlier]) < min(times[r] for r in parts[later])


def test_by_time_of_times_without_ties_has_the_stated_sizes(tmp_path: Path) -> None:
    order = np.random.RandomState(1).permutation(100)
    times = [np.datetime64("2024-01-01", "us") + np.timedelta64(int(n), "h") for n in order]
    options = {"kind": "time", "column": "time", "test_size": 0.2, "validation_size": 0.1}
    parts = cut(tmp_path, [0.5] * 100, times=times, **options)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 70,
        "validation": 10,
        "test": 20,
    }
    assert parts["test"] == sorted(np.flatnonzero(order >= 80).tolist())
    assert cut(tmp_path, [0.5] * 100, seed=9, times=times, **options) == parts


def test_parts_are_frozen(tmp_path: Path) -> None:
    """A change here makes other parts of everybody's data: it needs a new version of the kind."""
    assert cut(tmp_path, [0.5] * 10, kind="random", test_size=0.3)["test"] == [4, 5, 8]
    target = ["a", "b"] * 6
    parts = cut(tmp_path, target, kind="stratified", test_size=0.25, validation_size=0.25)
    assert (parts["test"], parts["validation"]) == ([0, 9, 10], [3, 6, 7])


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ([0.5], {"kind": "random"}, "rows leave none"),
        ([0.5, 0.5], {"kind": "random", "test_size": 0.1}, "none for the test part"),
        ([0.5] * 3, {"kind": "random", "validation_size": 0.1}, "none for the validation part"),
        (["a"] * 9 + ["b"], {"kind": "stratified"}, "class 'b' has 1 row"),
        ([0.5] * 4, {"kind": "time", "column": "nowhere"}, "no column 'nowhere'"),
    ],
    ids=str,
)
def test_too_few_rows_are_a_sentence(
    tmp_path: Path, target: Any, options: Any, message: str
) -> None:
    with pytest.raises(StepError, match=message):
        cut(tmp_path, target, times=[1.0] * len(target), **options)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1.0, None, 2.0, 3.0], "missing in 1 rows"),
        (["a", "b", "c", "d"], "no datetime and no number"),
        ([1.0, 1.0, 1.0, 1.0], "rows leave none"),
        ([1.0, float("nan"), 2.0, 3.0], "missing in 1 rows"),
    ],
    ids=str,
)
def test_times_that_do_not_sort_are_a_sentence(tmp_path: Path, times: Any, message: str) -> None:
    with pytest.raises(StepError, match=message):
        cut(tmp_path, [0.5] * 4, times=times, kind="time", column="time")
