"""Folds: what scikit-learn's splitters hold of theirs holds of ours; a fold is a step like any."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, TimeSeriesSplit

from mlops_compile.compiler.verify import verify
from mlops_compile.ir.key import key_of, plan_preimages
from mlops_compile.ir.lock import decode, encode
from mlops_compile.ir.plan import Ref, violations
from mlops_compile.ir.problem import StepError
from mlops_compile.steps import folds as step
from mlops_compile.steps import summarise
from mlops_compile.steps.foldings import FOLDS, fold_ports
from mlops_compile.steps.kinds import needs_of
from mlops_compile.steps.tables import write_table
from tests.project import SMALL, good, make, mlops
from tests.strategies import BASE, CSV, Room, lock_of, plan_of, tweak

Fold = dict[str, list[int]]


def folded(
    room: Path,
    target: Any,
    table: Any = None,
    seed: int | None = 0,
    validation: int = 0,
    test: int = 0,
    **options: Any,
) -> list[Fold]:
    """The folds over all rows but the last `test` ones; the first `validation` ones are that."""
    target = pa.array(target)
    if pa.types.is_string(target.type):
        target = target.dictionary_encode()
    table = table or {"a": [0.0] * len(target)}
    held = {name: pa.array(values) for name, values in table.items()}
    held = {n: a.dictionary_encode() if pa.types.is_string(a.type) else a for n, a in held.items()}
    inputs = {name: room / name for name in ("target", "table", "train", "validation")}
    write_table(inputs["target"], pa.table({"target": target}))
    write_table(inputs["table"], pa.table(held))
    for name, rows in (("train", range(validation, len(target) - test)),
                       ("validation", range(validation))):  # fmt: skip
        with inputs[name].open("wb") as file:
            np.save(file, np.array(rows, dtype=np.int64))
    count = options.get("folds", 5)
    params = {"evaluate": {"cross_validation": options}}
    work = Room(room).work(params, inputs, fold_ports(count), seed=seed)
    step.run(work)
    return [
        {part: np.load(work.outputs[f"{part}_{n}"]).tolist() for part in
         ("train", "validation", "test")}
        for n in range(1, count + 1)
    ]  # fmt: skip


def sound(folds: list[Fold], rows: int) -> None:
    """Each row is tested on once, and each fold holds all rows."""
    assert sorted(row for fold in folds for row in fold["test"]) == list(range(rows))
    for fold in folds:
        assert sorted(row for held in fold.values() for row in held) == list(range(rows))
        assert all(held == sorted(held) for held in fold.values())


counts = st.integers(2, 6)
seeds = st.integers(0, 3)


@given(st.integers(30, 60), counts, seeds, st.sampled_from([0, 6]), st.sampled_from([0, 7]))
def test_random(
    tmp_path_factory: Any, rows: int, count: int, seed: int, validation: int, test: int
) -> None:
    room = tmp_path_factory.mktemp("folds")
    given_ = {"seed": seed, "validation": validation, "test": test, "folds": count}
    folds = folded(room, [0.5] * rows, kind="random", **given_)
    sound(folds, rows - test)
    lengths = [len(fold["test"]) for fold in folds]
    assert max(lengths) - min(lengths) <= 1
    for fold in folds:
        rest = len(fold["train"]) + len(fold["validation"])
        assert abs(len(fold["validation"]) - rest * validation / (rows - test)) <= 0.5 + 1e-9
    assert folded(room, [0.5] * rows, kind="random", **given_) == folds
    assert folded(room, [0.5] * rows, kind="random", **{**given_, "seed": seed + 1}) != folds


@given(st.lists(st.integers(6, 30), min_size=2, max_size=4), counts, seeds)
def test_stratified_is_within_one_of_each_class(
    tmp_path_factory: Any, sizes: list[int], count: int, seed: int
) -> None:
    room = tmp_path_factory.mktemp("folds")
    target = [f"c{n}" for n, size in enumerate(sizes) for _ in range(size)]
    folds = folded(room, target, kind="stratified", folds=count, seed=seed)
    sound(folds, len(target))
    for level in set(target):
        there = [sum(target[row] == level for row in fold["test"]) for fold in folds]
        assert max(there) - min(there) <= 1
    lengths = [len(fold["test"]) for fold in folds]
    assert max(lengths) - min(lengths) <= 1


@given(st.lists(st.integers(1, 9), min_size=8, max_size=30), counts, seeds)
def test_groups_are_as_group_k_fold(
    tmp_path_factory: Any, sizes: list[int], count: int, seed: int
) -> None:
    room = tmp_path_factory.mktemp("folds")
    groups = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    folds = folded(room, [0.5] * len(groups), {"who": groups}, seed, kind="group",
                   column="who", folds=count)  # fmt: skip
    sound(folds, len(groups))
    for fold in folds:
        held = [{groups[row] for row in rows} for rows in fold.values()]
        assert sum(map(len, held)) == len(set().union(*held))
    theirs = GroupKFold(count).split(groups, groups=groups)
    assert sorted(len(f["test"]) for f in folds) == sorted(len(test) for _, test in theirs)


def test_strata_of_groups_are_as_even_as_stratified_group_k_fold(tmp_path: Path) -> None:
    draw = np.random.RandomState(0)
    groups = draw.randint(0, 40, 600)
    target = np.where(draw.uniform(size=600) < 0.15 + 0.01 * groups, "yes", "no")
    ours = folded(tmp_path, target.tolist(), {"who": groups.astype(float)}, kind="stratified",
                  group="who", folds=4)  # fmt: skip
    sound(ours, 600)
    theirs = list(
        StratifiedGroupKFold(4, shuffle=True, random_state=0).split(target, target, groups)
    )

    def uneven(tests: list[Any]) -> float:
        return float(np.std([np.mean(target[test] == "yes") for test in tests]))

    assert uneven([fold["test"] for fold in ours]) <= uneven([test for _, test in theirs]) + 0.02
    for fold in ours:
        assert not set(groups[fold["train"]]) & set(groups[fold["test"]])


@given(st.permutations(range(40)), counts)
def test_time_is_as_time_series_split(tmp_path_factory: Any, times: list[int], count: int) -> None:
    room = tmp_path_factory.mktemp("folds")
    column = {"at": [float(time) for time in times]}
    options = {"kind": "time", "column": "at", "folds": count}
    order = np.argsort(times)
    for gap in (None, 3.0):
        ours = folded(room, [0.5] * 40, column, None, **options, gap=gap)
        # Rows less than 3 before the block: two of them, where all times are one apart.
        theirs = TimeSeriesSplit(count, gap=2 if gap else 0).split(order)
        for fold, (train, test) in zip(ours, theirs, strict=True):
            assert fold["train"] == sorted(order[train]) and fold["test"] == sorted(order[test])
    size = 40 // (count + 1)
    ours = folded(room, [0.5] * 40, column, None, **options, window=1)
    theirs = TimeSeriesSplit(count, max_train_size=size).split(order)
    for fold, (train, test) in [*zip(ours, theirs, strict=True)][1:]:
        assert fold["train"] == sorted(order[train]) and fold["test"] == sorted(order[test])


@given(st.lists(st.integers(0, 12), min_size=30, max_size=60), counts)
def test_rows_of_one_time_are_in_one_fold(
    tmp_path_factory: Any, times: list[int], count: int
) -> None:
    room = tmp_path_factory.mktemp("folds")
    column = {"at": [float(time) for time in times]}
    try:
        folds = folded(room, [0.5] * len(times), column, None, 5, kind="time", column="at",
                       folds=count)  # fmt: skip
    except StepError as error:
        assert "has no rows in its" in str(error)
        return
    for fold in folds:
        held = [[times[row] for row in fold[name]] for name in ("train", "validation", "test")]
        assert max(held[0]) < min(held[1]) and max(held[1]) < min(held[2])


@given(st.lists(st.integers(0, 10**6), min_size=60, max_size=90, unique=True), seeds)
def test_a_row_keeps_the_fold_of_its_hash(tmp_path_factory: Any, ids: list[int], seed: int) -> None:
    room = tmp_path_factory.mktemp("folds")
    options = {"kind": "hash", "columns": ["id"], "folds": 2, "seed": seed}
    more = [*range(10**6 + 1, 10**6 + 40), *ids[::-1]]

    def fold_of(ids: list[int]) -> dict[int, int]:
        folds = folded(room, [0.5] * len(ids), {"id": [float(n) for n in ids]}, **options)
        sound(folds, len(ids))
        return {ids[row]: n for n, fold in enumerate(folds) for row in fold["test"]}

    before, after = fold_of(ids), fold_of(more)
    assert {key: after[key] for key in before} == before


def test_a_column_names_the_folds(tmp_path: Path) -> None:
    sites = ["north", "south", "west"] * 6
    folds = folded(tmp_path, [0.5] * 18, {"site": sites}, kind="column", column="site", folds=3)
    sound(folds, 18)
    assert [{sites[row] for row in fold["test"]} for fold in folds] == [
        *({name} for name in sorted(set(sites))),
    ]


@pytest.mark.parametrize(
    ("words", "target", "options"),
    [
        ("holds 3 values ('a', 'b', 'c'), not 5", [0.5] * 6, {"kind": "column", "column": "who"}),
        ("fold 4 has no rows in its test part", [0.5] * 6, {"kind": "group", "column": "who"}),
        ("tests on rows of one class only", ["x"] * 4 + ["y"] * 2,
         {"kind": "stratified", "folds": 3}),
        ("trains on no row of 'y'", ["x"] * 5 + ["y"], {"kind": "random", "folds": 2}),
    ],
)  # fmt: skip
def test_what_cannot_be_folded_is_a_sentence(
    tmp_path: Path, words: str, target: Any, options: Any
) -> None:
    with pytest.raises(StepError) as caught:
        folded(tmp_path, target, {"who": list("aabbcc")}, **options)
    assert words in str(caught.value)


# The plan


WAYS: dict[str, dict[str, Any]] = {
    "random": {},
    "stratified": {"group": "length"},
    "group": {"column": "length"},
    "time": {"column": "length", "gap": 0.5, "window": 2},
    "hash": {"columns": ["length"]},
    "column": {"column": "length"},
}
SPLIT_WAYS: dict[str, dict[str, Any]] = {
    **WAYS,
    "time": {"column": "length", "gap": 0.5, "cut": 3.5, "validation_cut": 2.0},
    "column": {"column": "length", "parts": {"1": "train", "2": "test", "3": "validation"}},
}


@pytest.mark.parametrize("kind", sorted(FOLDS))
def test_a_lock_with_folds_is_read_as_it_is_written(kind: str) -> None:
    values = tweak(
        BASE,
        data__columns={"length": {"role": "id"}},
        data__split={"kind": kind, "calibration_size": 0.1, **SPLIT_WAYS[kind]},
        evaluate__cross_validation={"kind": kind, "folds": 4, **WAYS[kind]},
    )
    lock = lock_of(values)
    assert violations(lock.plan) == ()
    again = decode(encode(lock))
    assert again == lock
    needs_of(again)
    verify(again)
    assert (lock.plan["folds"].seed is None) == (kind == "time")
    assert lock.plan["split"].outputs == ("calibration", "facts", "test", "train", "validation")


def test_folds_stand_beside_the_plan_and_change_nothing_of_it_but_the_package() -> None:
    folds = tweak(BASE, evaluate__cross_validation={"kind": "stratified", "folds": 3})
    plan, bare = plan_of(folds), plan_of(BASE)
    same = [step for step in bare.steps if step.kind != "package"]
    assert [step for step in plan.steps if step in bare.steps] == same
    names = [step.name for step in plan.steps if step not in bare.steps]
    each = [f"fold/{n}/{what}" for what in ("prepare", "train", "evaluate") for n in (1, 2, 3)]
    assert sorted(names) == sorted(["folds", "summarise", "package", *each])


def test_packaging_takes_the_folds_where_there_are_any() -> None:
    assert "folds" not in dict(plan_of(BASE)["package"].inputs)
    folds = tweak(BASE, evaluate__cross_validation={"kind": "stratified", "folds": 3})
    assert dict(plan_of(folds)["package"].inputs)["folds"] == Ref.parse("summarise.metrics")


def test_a_fold_is_the_same_step_whatever_stands_beside_it() -> None:
    one = tweak(BASE, evaluate__cross_validation={"kind": "stratified", "folds": 3})
    other = tweak(one, evaluate__gates={"accuracy": ">= 0.1"}, deploy__max_records=7)
    keys = []
    for values in (one, other):
        lock = lock_of(values)
        made = plan_preimages(lock, needs_of(lock))
        keys.append({name: key_of(made[name]) for name in made if name != "package"})
    assert keys[0] == keys[1]


def test_each_use_has_its_rows() -> None:
    parts = {"kind": "random", "validation_size": 0.1, "threshold_size": 0.1}
    uses = {"calibration": {"method": "platt"}, "threshold": {"rule": "metric", "metric": "f1"}}
    both = tweak(CSV, data__split=parts, **{f"model__{name}": use for name, use in uses.items()})
    plan = plan_of(both)
    assert dict(plan["threshold"].inputs)["validation"] == Ref.parse("split.threshold")
    assert dict(plan["calibrate"].inputs)["validation"] == Ref.parse("split.validation")
    assert dict(plan["train"].inputs)["validation"] == Ref.parse("split.validation")
    own = tweak(CSV, data__split={"kind": "random", "early_stopping_size": 0.1},
                model__params__early_stopping_round=3,
                evaluate__cross_validation={"kind": "random", "folds": 2})  # fmt: skip
    plan = plan_of(own)
    for name in ("train", "fold/1/train"):
        assert dict(plan[name].inputs)["validation"] == Ref.parse("split.early_stopping")
    assert dict(plan_of(CSV)["train"].inputs)["validation"] == Ref.parse("split.validation")


def test_a_summary_is_mean_and_deviation(tmp_path: Path) -> None:
    inputs = {}
    for number, score in enumerate((0.5, 0.7, 0.9), start=1):
        inputs[f"metrics_{number}"] = tmp_path / str(number)
        metrics = {"test": {"r2": score}, "baseline": {"r2": 0.0}}
        inputs[f"metrics_{number}"].write_text(json.dumps(metrics))
    work = Room(tmp_path).work({}, inputs, ("metrics",))
    summarise.run(work)
    found = json.loads(work.outputs["metrics"].read_text())
    assert found["mean"]["r2"] == pytest.approx(0.7)
    assert found["deviation"]["r2"] == pytest.approx(np.std([0.5, 0.7, 0.9], ddof=1))
    assert found["each"] == [{"r2": 0.5}, {"r2": 0.7}, {"r2": 0.9}]


# The command line


def test_folds_are_run_told_as_one_and_kept(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    ways = (*SMALL, "evaluate.cross_validation={kind: stratified, folds: 3}")
    told = good(project, "compile", *ways).out
    assert "fold/*/train" in told and "fold/1" not in told
    bare = good(project, "run", *SMALL, "--json").document
    gates = "evaluate.gates={folds: {accuracy: {mean: '>= 0.01', each: '> 0.99'}}}"

    def unmet() -> list[str]:
        plans = (f"conf:{shlex.join(words)}" for words in (SMALL, (*ways, gates)))
        found = good(project, "diff", "--format=json", *plans).document["gates"]
        return [gate["name"] for gate in found]

    assert unmet() == []  # the model is measured, and its folds are not
    answer = good(project, "run", *ways)
    lines = [line.split() for line in answer.err.splitlines()]
    assert [line[0] for line in lines if line[0].startswith("fold/")].count("fold/*/train") == 1
    assert "fold/1" not in answer.err and "3 folds" in answer.out and "±" in answer.out
    again = good(project, "run", *ways, "--json").document
    assert Counter(step["status"] for step in again["steps"]) == {"hit": len(again["steps"])}

    assert unmet() == ["evaluate.gates.folds.accuracy.each"] * 3
    refused = mlops(project, "run", *ways, gates)
    assert refused.code == 6
    assert refused.err.count("evaluate.gates.folds.accuracy.each: the gate is not met") == 3
    assert "accuracy of fold 1 is" in refused.err and "accuracy.mean" not in refused.err

    # The model that is packaged is the one without folds.
    def model(document: Any) -> Any:
        return next(s["outputs"]["model"] for s in document["steps"] if s["name"] == "train")

    assert model(again) == model(bare)
    assert len(again["metrics"]["folds"]["each"]) == 3
    assert {n: m for n, m in again["metrics"].items() if n != "folds"} == bare["metrics"]
