"""Splits by group, hash, time, column and file, and parts of their own: what always holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps import split
from mlops_compile.steps.splits import (
    OWN_PARTS,
    PARTS,
    SPLITS,
    TEST_ROWS,
    asked_parts,
    draws,
    effective,
)
from mlops_compile.steps.tables import write_table
from tests import generate_splits
from tests.strategies import Room

HOUR = 3_600_000_000


def divided(
    room: Path, target: Any, table: Mapping[str, Any], seed: int | None = 0, **options: Any
) -> dict[str, list[int]]:
    """Every part of a table with these columns."""
    room.mkdir(parents=True, exist_ok=True)
    held, fields = [], []
    target = pa.array(target)
    if pa.types.is_string(target.type):
        target = target.dictionary_encode()
    for name, values in {"a": pa.nulls(len(target)), **table}.items():
        array = pa.array(values)
        if pa.types.is_string(array.type):
            array = array.dictionary_encode()
        role = "part" if name == TEST_ROWS else "feature"
        fields.append(pa.field(name, array.type, metadata={"role": role}))
        held.append(array)
    inputs = {"target": room / "target", "table": room / "table"}
    write_table(inputs["target"], pa.table({"target": target}))
    write_table(inputs["table"], pa.table(held, schema=pa.schema(fields)))
    work = Room(room).work({"data": {"split": options}}, inputs, PARTS, seed=seed)
    split.run(work)
    return {name: np.load(work.outputs[name]).tolist() for name in PARTS}


def sound(parts: Mapping[str, list[int]], rows: int) -> None:
    """Every row in just one part, in order."""
    assert sorted(row for part in parts.values() for row in part) == list(range(rows))
    assert all(part == sorted(part) for part in parts.values())


def refused(room: Path, *words: str, **options: Any) -> None:
    with pytest.raises(StepError) as caught:
        divided(room, **options)
    assert all(word in str(caught.value) for word in words), str(caught.value)


sizes = st.fixed_dictionaries(
    {
        "test_size": st.sampled_from([0.1, 0.2, 1 / 3]),
        "validation_size": st.sampled_from([0.0, 0.1, 0.2]),
        **{f"{name}_size": st.sampled_from([0.0, 0.05, 0.1]) for name in OWN_PARTS},
    }
)


def tried(room: Path, rows: int, **given_: Any) -> dict[str, list[int]] | None:
    """The parts, or None where an asked part would be empty and that is what is said."""
    try:
        return divided(room, [0.5] * rows, **given_)
    except StepError as error:
        assert "rows leave none for the" in str(error)
        return None


# Sizes of all kinds


@given(st.integers(60, 120), sizes, st.integers(0, 3))
def test_parts_of_their_own_take_from_the_rest(
    tmp_path_factory: Any, rows: int, shares: dict[str, float], seed: int
) -> None:
    room = tmp_path_factory.mktemp("split")
    parts = divided(room, [0.5] * rows, {}, seed, kind="random", **shares)
    sound(parts, rows)
    taken = [name for name in PARTS if name != "train"]
    for name in taken:
        assert abs(len(parts[name]) - rows * shares[f"{name}_size"]) <= 1
    bare = {name: size for name, size in shares.items() if name[:-5] not in OWN_PARTS}
    without = divided(room, [0.5] * rows, {}, seed, kind="random", **bare)
    assert without["test"] == parts["test"] and without["validation"] == parts["validation"]


@given(st.lists(st.integers(1, 9), min_size=25, max_size=50), sizes, st.integers(0, 3))
def test_groups_stay_together(
    tmp_path_factory: Any, counts: list[int], shares: dict[str, float], seed: int
) -> None:
    room = tmp_path_factory.mktemp("split")
    groups = [f"g{n}" for n, count in enumerate(counts) for _ in range(count)]
    order = np.random.RandomState(seed).permutation(len(groups))
    mixed = [groups[row] for row in order]
    options = {"kind": "group", "column": "who", **shares}
    parts = tried(room, len(groups), table={"who": mixed}, seed=seed, **options)
    if parts is None:
        return
    sound(parts, len(groups))
    part_of = {mixed[row]: name for name, rows in parts.items() for row in rows}
    for name, rows in parts.items():
        assert {mixed[row] for row in rows} == {g for g, part in part_of.items() if part == name}
    smallest = min(Counter(mixed[row] for row in parts["train"]).values())
    for name in (name for name in PARTS if name != "train"):
        off = abs(len(parts[name]) - round(shares[f"{name}_size"] * len(groups)))
        assert off <= smallest / 2
    # The order of rows does not matter to a group.
    other = divided(room, [0.5] * len(groups), {"who": groups}, seed, **options)
    assert {groups[row]: name for name, rows in other.items() for row in rows} == part_of


keys = st.lists(st.tuples(st.integers(0, 500), st.sampled_from("xyz")), min_size=80, max_size=120)


@given(keys, sizes, st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_hash_depends_on_the_row_alone(
    tmp_path_factory: Any, rows: list[Any], shares: dict[str, float], seed: int, random: Any
) -> None:
    room = tmp_path_factory.mktemp("split")

    def part_of(rows: list[Any]) -> dict[Any, str] | None:
        columns = {"id": [float(number) for number, _ in rows], "of": [text for _, text in rows]}
        options = {"kind": "hash", "columns": ["id", "of"], **shares}
        parts = tried(room, len(rows), table=columns, seed=seed, **options)
        if parts is None:
            return None
        sound(parts, len(rows))
        return {rows[row]: name for name, held in parts.items() for row in held}

    before = part_of(rows)
    more = [*rows, *((number + 501, text) for number, text in rows)]
    random.shuffle(more)
    after = part_of(more)
    if before is not None and after is not None:
        assert {key: after[key] for key in before} == before


def test_a_hash_gives_about_the_sizes_and_another_seed_other_parts(tmp_path: Path) -> None:
    ids = {"id": [float(number) for number in range(4000)]}
    options = {"kind": "hash", "columns": ["id"], "test_size": 0.25, "validation_size": 0.1}
    parts = divided(tmp_path, [0.5] * 4000, ids, **options)
    # Six deviations of a binomial count.
    for name, share in (("test", 0.25), ("validation", 0.1)):
        assert abs(len(parts[name]) - 4000 * share) < 6 * (4000 * share * (1 - share)) ** 0.5
    assert divided(tmp_path, [0.5] * 4000, ids, 1, **options) != parts
    # Keys of whole numbers stay what they are when the column becomes one of texts.
    texts = {"id": [str(number) for number in range(4000)]}
    assert divided(tmp_path, [0.5] * 4000, texts, **options) == parts


def test_the_hash_is_frozen(tmp_path: Path) -> None:
    """A change here moves everybody's rows: it needs a new version of the kind."""
    parts = divided(
        tmp_path, [0.5] * 20, {"id": list("abcdefghijklmnopqrst")}, kind="hash", columns=["id"],
        test_size=0.3,
    )  # fmt: skip
    assert parts["test"] == FROZEN


FROZEN = [4, 7, 8, 12, 14, 16, 18]


# Time


moments = st.lists(st.integers(0, 60), min_size=20, max_size=60)


@given(moments, sizes, st.sampled_from([None, "1h", "3h", "12h"]))
def test_by_time_with_a_gap(
    tmp_path_factory: Any, hours: list[int], shares: dict[str, float], gap: str | None
) -> None:
    room = tmp_path_factory.mktemp("split")
    times = pa.array([hour * HOUR for hour in hours], pa.timestamp("us"))
    options = {"kind": "time", "column": "at", "gap": gap, **shares}
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        parts = tried(room, len(hours), table={"at": times}, seed=None, **options)
    if parts is None:
        return
    width = int(gap[:-1]) if gap else 0
    order = ["train", "early_stopping", "validation", "calibration", "threshold", "test"]
    filled = [name for name in order if parts[name]]
    starts = [min(hours[row] for row in parts[name]) for name in filled]
    for name, start in zip(filled, starts[1:], strict=False):
        latest = max(hours[row] for row in parts[name])
        assert latest < start and latest <= start - width
    held = {row for rows in parts.values() for row in rows}
    assert sum(map(len, parts.values())) == len(held)
    for row in set(range(len(hours))) - held:  # only what lies in a gap is left out
        assert any(0 < start - hours[row] < width for start in starts)
    assert len(parts["test"]) >= round(len(hours) * shares["test_size"])


def test_cuts_in_time(tmp_path: Path) -> None:
    days = pa.array([day * 24 * HOUR for day in range(31)], pa.timestamp("us"))
    options = {"kind": "time", "column": "at", "cut": "1970-01-21", "validation_cut": "1970-01-11"}
    with pytest.warns(UserWarning, match="4 of 31 rows belong to no part: they lie less than 3d"):
        parts = divided(tmp_path, [0.5] * 31, {"at": days}, None, **options, gap="3d")
    assert parts["test"] == [*range(20, 31)]
    assert parts["validation"] == [*range(10, 18)]  # the 18th lies three days before: just enough
    assert parts["train"] == [*range(8)]
    parts = divided(tmp_path, [0.5] * 31, {"at": days}, None, **options)
    sound(parts, 31)
    assert parts["validation"] == [*range(10, 20)]


def test_cuts_among_numbers(tmp_path: Path) -> None:
    years = [float(year) for year in (2019, 2020, 2020, 2021, 2022, 2023)]
    parts = divided(
        tmp_path, [0.5] * 6, {"year": years}, None, kind="time", column="year", cut=2022.0,
        validation_cut=2021.0,
    )  # fmt: skip
    assert (parts["train"], parts["validation"], parts["test"]) == ([0, 1, 2], [3], [4, 5])


# Strata


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(0, 3)), min_size=20, max_size=30
    ),
    st.integers(0, 3),
)
def test_strata_of_whole_groups(tmp_path_factory: Any, made: list[Any], seed: int) -> None:
    room = tmp_path_factory.mktemp("split")
    rows = [(f"c{kind}", f"g{n}") for n, (kind, count, _) in enumerate(made) for _ in range(count)]
    rows += [(f"c{kind}", f"g{n}") for n, (_, _, kind) in enumerate(made)]
    if len({target for target, _ in rows}) < 3:
        return
    options = {"kind": "stratified", "group": "who", "test_size": 0.25, "validation_size": 0.25}
    try:
        parts = divided(room, [t for t, _ in rows], {"who": [g for _, g in rows]}, seed, **options)
    except StepError as error:
        assert "has the class" in str(error)
        return
    sound(parts, len(rows))
    held = [{rows[row][1] for row in parts[name]} for name in ("train", "validation", "test")]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])
    largest = max(Counter(group for _, group in rows).values())
    assert abs(len(parts["test"]) - 0.25 * len(rows)) <= largest


def test_strata_of_numbers_are_quantile_bins(tmp_path: Path) -> None:
    numbers = np.random.RandomState(0).lognormal(size=400)
    parts = divided(tmp_path, numbers, {}, kind="stratified", bins=8, test_size=0.25)
    sound(parts, 400)
    edges = np.quantile(numbers, np.linspace(0, 1, 9)[1:-1], method="higher")
    bins = np.searchsorted(edges, numbers, side="right")
    for number in range(8):
        assert abs((bins[parts["test"]] == number).sum() - 0.25 * (bins == number).sum()) <= 1


# A column, a file


def test_a_column_names_the_parts(tmp_path: Path) -> None:
    which = ["a", "b", "c", "a", "old", "b"]
    names = {"a": "train", "b": "test", "c": "calibration", "old": "none"}
    with pytest.warns(UserWarning, match="1 of 6 rows belong to no part"):
        parts = divided(tmp_path, [0.5] * 6, {"x": which}, None, kind="column", column="x",
                        parts=names)  # fmt: skip
    assert (parts["train"], parts["test"], parts["calibration"]) == ([0, 3], [1, 5], [2])
    parts = divided(tmp_path, [0.5] * 4, {"x": [1.0, 0.0, 1.0, 0.0]}, None, kind="column",
                    column="x", parts={"1": "train", "0": "test"})  # fmt: skip
    assert (parts["train"], parts["test"]) == ([0, 2], [1, 3])


@pytest.mark.parametrize("take", ["random", "stratified", "group", "time"])
@pytest.mark.parametrize("kind", ["file", "column"])
def test_choices_are_made_on_rows_that_would_train(tmp_path: Path, kind: str, take: str) -> None:
    marked = [row % 3 == 0 for row in range(90)]
    groups = [f"g{row // 4}" for row in range(90)]
    columns = {
        TEST_ROWS: marked,
        "x": ["test" if mark else "train" for mark in marked],
        "who": groups,
        "at": [float(row) for row in range(90)],
    }
    by = {"group": "who", "time": "at"}.get(take)
    more = {"column": "x"} if kind == "column" else {}
    target = ["yes" if row % 2 else "no" for row in range(90)]
    options = {"kind": kind, "take": take, "by": by, "validation_size": 0.2, **more}
    seed = 0 if draws(Room(tmp_path).work(options, {}, ()).params) else None
    assert (seed is None) == (take == "time")
    parts = divided(tmp_path, target, columns, seed, **options)
    sound(parts, 90)
    assert parts["test"] == [row for row in range(90) if marked[row]]
    assert abs(len(parts["validation"]) - 12) <= 1
    if take == "group":
        assert not {groups[r] for r in parts["train"]} & {groups[r] for r in parts["validation"]}
    if take == "time":
        assert max(parts["train"]) < min(parts["validation"])


# What cannot be split


@pytest.mark.parametrize(
    ("words", "columns", "options"),
    [
        ("missing in 1 rows, which belong to no group", {"g": ["a", None, "b", "c"]},
         {"kind": "group", "column": "g"}),
        ("missing in 2 rows, which have no key",
         {"g": [1.0, None, float("nan"), 2.0]}, {"kind": "hash", "columns": ["g"]}),
        ("no column 'g'", {}, {"kind": "group", "column": "g"}),
        ("none for the test part", {"g": ["a", "a", "a", "a"]}, {"kind": "group", "column": "g"}),
        ("'u', which data.split.parts does not name", {"g": ["train", "u", "test", "test"]},
         {"kind": "column", "column": "g"}),
        ("no row is of the test part by 'g'", {"g": ["train"] * 4},
         {"kind": "column", "column": "g"}),
        ("does not say which rows", {}, {"kind": "file"}),
        ("none for the train part", {TEST_ROWS: [True] * 4}, {"kind": "file"}),
        ("look at data.split.cut", {"g": [1.0, 2.0, 3.0, 4.0]},
         {"kind": "time", "column": "g", "cut": 9.0}),
    ],
)  # fmt: skip
def test_what_cannot_be_split_is_a_sentence(
    tmp_path: Path, words: str, columns: Any, options: Any
) -> None:
    refused(tmp_path, words, target=[0.5] * 4, table=columns, **options)


def test_a_part_without_a_class_is_a_sentence(tmp_path: Path) -> None:
    target = ["no"] * 40 + ["yes"] * 2
    times = [float(row) for row in range(42)]
    by_time = {"kind": "time", "column": "at"}
    refused(tmp_path, "no row of the train part has the class 'yes'", target=target,
            table={"at": times}, **by_time)  # fmt: skip
    refused(tmp_path, "no row of the test part has the class 'yes'", "larger test part",
            target=target, table={"at": times[::-1]}, **by_time)  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SPLITS))
def test_train_and_test_are_always_asked_for(kind: str) -> None:
    needed = {"column": "x", "columns": ("x",), "kind": kind}
    names = SPLITS[kind].spec.__dataclass_fields__
    spec = SPLITS[kind].spec(**{name: held for name, held in needed.items() if name in names})
    assert asked_parts(spec) == ("train", "test")


@pytest.mark.parametrize(
    ("stated", "more"),
    [
        ({"kind": "random"}, {"test_size": 0.2}),
        ({"kind": "stratified", "test_size": 0.3, "group": "g"}, {}),
        ({"kind": "hash", "columns": ["a"], "threshold_size": 0.1}, {"test_size": 0.2}),
        ({"kind": "time", "column": "t", "cut": 9.0, "validation_size": 0.1}, {}),
        ({"kind": "time", "column": "t", "gap": "7d"}, {"test_size": 0.2}),
        ({"kind": "file"}, {}),
        ({"kind": "file", "validation_size": 0.1}, {"take": "random"}),
        ({"kind": "column", "column": "x"}, {"parts": {"train": "train", "test": "test"}}),
    ],
)
def test_a_split_is_told_with_the_defaults_that_it_goes_by(
    stated: dict[str, Any], more: dict[str, Any]
) -> None:
    spec_type = SPLITS[stated["kind"]].spec
    params = freeze(stated)
    assert isinstance(params, Map)
    told = effective(from_value(spec_type, params))
    assert told == freeze({**stated, **more})
    assert from_value(spec_type, told) == from_value(spec_type, params)


def test_the_tables_of_the_document_are_up_to_date() -> None:
    text = generate_splits.FILE.read_text("utf-8")
    assert generate_splits.generate(text) == text
