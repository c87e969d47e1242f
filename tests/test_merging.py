"""Merging locks: what comes out is what compiling both changes together gives, or nothing does."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlops_compile.compiler.check import check_further
from mlops_compile.compiler.merging.apart import FOLLOWS
from mlops_compile.compiler.merging.locks import merge_locks
from mlops_compile.compiler.merging.sweeps import merge_sweeps
from mlops_compile.compiler.read import Reader
from mlops_compile.compiler.recompile import again
from mlops_compile.compiler.searching import settled_values
from mlops_compile.compiler.spec import Spec
from mlops_compile.compiler.verify import NOWHERE
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.sweep import Sweep, SweepPoint
from mlops_compile.ir.three_way import held
from mlops_compile.ir.value import leaves, same
from tests.branches import BASE, Branches, Change, State, changed, values_of
from tests.strategies import GONE

# MERGING_EXAMPLES=600 looks for longer, and elsewhere each time.
_EXAMPLES = os.environ.get("MERGING_EXAMPLES")
looked_for = settings(max_examples=int(_EXAMPLES or 15), derandomize=not _EXAMPLES)
OWN: Mapping[str, Change] = {
    f"own.{path}={value}": {f"own.{path}": value}
    for path, values in {
        "seed": (1, 7),
        "data.split.test_size": (0.2, 0.3),
        "data.split.kind": ("stratified",),
        "data.name": ("store",),
        "data.positive": ("no",),
        "data.columns.age.role": ("ignore",),
        "data.columns.age.type": ("numeric", "categorical"),
        "data.columns.member.type": ("categorical",),
        "data.columns.city.sensitive": (True,),
        "data.columns.city.nullable": (True,),
        "data.columns.amount.low": (-500,),
        "data.rows.low": (10, "${model.params.num_leaves}"),
        "model.params.num_leaves": (7, 15),
        "model.params.learning_rate": (0.2,),
        "model.class_weight": ("balanced",),
        "model.calibration.method": ("platt", "isotonic"),
        "model.threshold": ({"rule": "metric", "metric": "f1"},),
        "prepare.numeric": ("auto", [], ["impute"], ["impute", "scale"]),
        "prepare.categorical": (["frequency"], ["category"]),
        "prepare.columns.city": (["text_length", "impute"],),
        "prepare.rows": (["amount > 20"],),
        "prepare.derive.share": ({"ratio": ["amount", "age"]},),
        "evaluate.metrics": (["roc_auc", "f1"], ["f1", "roc_auc"], ["accuracy", "f1", "roc_auc"]),
        "evaluate.primary": ("roc_auc", "f1"),
        "evaluate.options.beta": (3.0,),
        "evaluate.bootstrap": (None,),
        "evaluate.segments": (["city"],),
        "evaluate.gates.roc_auc": (">= 0.5", ">= 0.6"),
        "evaluate.cross_validation": ({"kind": "random", "folds": 2},),
        "deploy.name": ("till", "${data.name}-${seed}"),
        "deploy.max_records": (100, "${model.params.num_leaves}"),
        "model.params.num_iterations": (6,),
        "search.trials": (5,),
        "search.cv.kind": ("stratified",),
    }.items()
    for value in values
}
OTHER: Mapping[str, Change] = {
    **{
        f"{group}: {name}": {f"chosen.{group}": name}
        for group in ("model", "prepare", "evaluate", "search")
        for name in BASE["option"][group]
    },
    "in lightgbm": {"option.model.lightgbm.params.learning_rate": 0.3},
    "in slow": {"option.model.slow.params.num_leaves": 5},
    "in strict": {"option.evaluate.strict.bootstrap": None},
    "regression": {
        "own.data.target": "amount",
        "own.data.task": "regression",
        "chosen.model": "hist",
    },
    "function": {
        "own.code.roots": ["src"],
        "own.prepare.derive.worth": {
            "function": "shop.rates.worth",
            "inputs": ["age", "amount"],
            "type": "numeric",
        },
    },
    "numeric gone": {"own.prepare.numeric": GONE},
    "primary gone": {"own.evaluate.primary": GONE},
    "cv kind gone": {"own.search.cv.kind": GONE},
    "rows": {"rows": 250},
    "factor": {"factor": 3},
    "other factor": {"factor": 4},
    "new numpy": {"versions.numpy": "9.9.9"},
    "newer numpy": {"versions.numpy": "10.0"},
    "new lightgbm": {"versions.lightgbm": "9.9"},
}
CHANGES: Mapping[str, Change] = {**OWN, **OTHER}


# Repositories to start from.
STARTS: Sequence[Sequence[str]] = (
    (),
    ("own.evaluate.cross_validation={'kind': 'random', 'folds': 2}", "model: slow"),
    ("search: random",),
    ("own.prepare.numeric=[]", "function"),
    ("own.prepare.numeric=['impute']", "model: logistic"),
    ("regression",),
    ("model: hist", "evaluate: strict", "own.model.calibration.method=platt"),
    ("own.evaluate.metrics=['f1', 'roc_auc']", "own.evaluate.primary=roc_auc"),
)


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Branches:
    return Branches(tmp_path_factory.mktemp("branches"))


def state_of(start: Sequence[str], *more: str) -> State:
    return changed(BASE, *(CHANGES[name] for name in (*start, *more)))


def shown(branches: Branches, start: Sequence[str], names: Sequence[str]) -> Lock | None:
    """The lock of a branch; None where it does not compile, or where one of its changes makes no
    difference to it: what a lock does not show cannot be merged by it."""
    lock = branches.lock(state_of(start, *names))
    for name in names:
        less = branches.lock(state_of(start, *(other for other in names if other != name)))
        if lock is None or less is None or less.digest == lock.digest:
            return None
    return lock


def paths(names: Sequence[str]) -> set[str]:
    return {path for name in names for path in CHANGES[name]}


several = st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=3, unique=True)


@looked_for
@given(st.sampled_from(STARTS), several, several)
def test_a_merge_is_what_compiling_both_changes_gives_or_is_refused(
    branches: Branches, start: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> None:
    assume(paths(ours).isdisjoint(paths(theirs)))
    base = branches.lock(state_of(start))
    one, two = shown(branches, start, ours), shown(branches, start, theirs)
    assume(one and two)
    assert base and one and two
    together = branches.lock(state_of(start, *ours, *theirs))
    try:
        merged = merge_locks(base, one, two)
    except CompileError as error:
        refusals = [found.code == "merge" for found in error.problems]
        assert all(refusals) or together is None
    else:
        assert together is not None and merged.text == together.text
        assert merge_locks(base, two, one).text == merged.text


# Changes that no step reads together.
APART = {
    "split": "own.data.split.test_size=0.3",
    "columns": "own.data.rows.low=10",
    "prepare": "own.prepare.categorical=['frequency']",
    "params": "own.model.params.num_leaves=7",
    "metrics": "own.evaluate.bootstrap=None",
    "gates": "own.evaluate.gates.roc_auc=>= 0.5",
    "deploy": "own.deploy.max_records=100",
    "seed": "own.seed=7",
    "numpy": "new numpy",
    "function": "factor",
    "data": "rows",
}


@pytest.mark.parametrize(("ours", "theirs"), [*itertools.permutations(APART, 2)])
def test_changes_that_no_step_reads_together_merge(
    branches: Branches, ours: str, theirs: str
) -> None:
    start = ("function",)
    base, one, two, both = (
        branches.lock(state_of(start, *names))
        for names in ((), (APART[ours],), (APART[theirs],), (APART[ours], APART[theirs]))
    )
    assert base and one and two and both
    assert merge_locks(base, one, two).text == both.text


# Changes that would be merged wrongly by values alone; each is refused in a sentence.
TRAPS: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str], str]] = {
    "a list that is usual for the family, beside another family": (
        ("own.prepare.numeric=['impute']",),
        ("model: logistic",),
        ("numeric gone",),
        "follows from model.family",
    ),
    "the first metric, beside another list": (
        ("own.evaluate.metrics=['f1', 'roc_auc']", "own.evaluate.primary=roc_auc"),
        ("own.evaluate.metrics=['accuracy', 'f1', 'roc_auc']",),
        ("primary gone",),
        "follows from evaluate.metrics",
    ),
    "folds that follow the split, beside another split": (
        ("search: random", "own.search.cv.kind=stratified"),
        ("own.data.split.kind=stratified",),
        ("cv kind gone",),
        "follows from data.split",
    ),
    "another option of a group, beside a change in the one that was chosen": (
        (),
        ("model: slow",),
        ("in lightgbm",),
        "train reads what both change",
    ),
    "a text that refers to what the other changes": (
        (),
        ("own.deploy.name=${data.name}-${seed}",),
        ("own.seed=7",),
        "if it is a reference",
    ),
    "a number that refers to what the other changes": (
        (),
        ("own.deploy.max_records=${model.params.num_leaves}",),
        ("own.model.params.num_leaves=7",),
        "if it is a reference",
    ),
    "other rows, beside another way to read them": (
        (),
        ("rows",),
        ("own.data.columns.age.type=categorical",),
        "both change the data, or one the data and the other how it is read",
    ),
    "two versions": ((), ("new numpy",), ("newer numpy",), "is 9.9.9 in ours and 10.0 in theirs"),
    "two codes": (
        ("function",),
        ("factor",),
        ("other factor",),
        "shop.rates.worth",
    ),
    "two seeds": ((), ("own.seed=1",), ("own.seed=7",), "seed: both change it"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_changes_that_may_depend_on_each_other_are_refused(branches: Branches, name: str) -> None:
    start, ours, theirs, says = TRAPS[name]
    base = branches.lock(state_of(start))
    one, two = shown(branches, start, ours), shown(branches, start, theirs)
    assert base and one and two
    for sides in ((one, two), (two, one)):
        with pytest.raises(CompileError) as caught:
            merge_locks(base, *sides)
        assert {found.code for found in caught.value.problems} == {"merge"}
    with pytest.raises(CompileError, match=re.escape(says)):
        merge_locks(base, one, two)


# What checking fills in or writes otherwise, and that no other value of a lock decides.
OWN_FORM = (("deploy", "name"), ("data", "positive"), ("model", "params"), ("evaluate", "gates"))


@pytest.mark.parametrize("start", STARTS, ids=",".join)
def test_what_follows_from_other_values_unless_it_is_stated_is_listed(
    start: Sequence[str],
) -> None:
    known = (*OWN_FORM, *(follower for _, follower in FOLLOWS), ("search",))
    for name in ("own.seed=1", *CHANGES):
        if (values := values_of(state_of(start, name))) is None:
            continue
        spec, problems = check_further(Config(values=values, composition=NOWHERE))
        if problems:
            continue
        stated = to_value(Reader().group(Spec, settled_values(values), ()))
        old, new = dict(leaves(stated)), dict(leaves(to_value(spec)))
        for path in {*old, *new}:
            if not same(held(old, path), held(new, path)):
                assert any(path[: len(place)] == place for place in known), path


# Sweeps


def sweep_of(branches: Branches, state: State, points: Sequence[Sequence[str]]) -> Sweep | None:
    """The sweep of a state over points, each of which sets values; None where one of them does not
    compile, or where two come to the same lock."""
    found = []
    for point in points:
        own = {f"own.{key}": json.loads(text) for key, _, text in (o.partition("=") for o in point)}
        lock = branches.lock(changed(state, own))
        if lock is None or any(lock.digest == other.lock.digest for other in found):
            return None
        found.append(SweepPoint(overrides=tuple(point), lock=lock))
    return Sweep(points=tuple(found))


RATES = [[f"model.params.learning_rate={rate}"] for rate in (0.05, 0.1, 0.15, 0.2)]
DEPTHS = [
    [f"seed={seed}", f"model.params.max_depth={depth}"] for seed in (3, 4) for depth in (2, 3)
]
LISTS = [RATES, DEPTHS, [*RATES, *DEPTHS[:2]], [*DEPTHS, ["deploy.max_records=7"]]]


@looked_for
@given(
    st.sampled_from(STARTS[:4]),
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=2, unique=True),
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=1, unique=True),
    st.sampled_from(LISTS),
    st.sets(st.integers(0, 5), max_size=2),
    st.sets(st.integers(0, 5), max_size=2),
)
def test_a_merged_sweep_is_what_compiling_both_changes_gives_or_is_refused(
    branches: Branches,
    start: Sequence[str],
    ours: Sequence[str],
    theirs: Sequence[str],
    points: list[list[str]],
    before: set[int],
    after: set[int],
) -> None:
    """`before` are points that theirs adds, `after` those that it takes away."""
    assume(paths(ours).isdisjoint(paths(theirs)))
    assume(not ours or shown(branches, start, ours))
    assume(not theirs or shown(branches, start, theirs))
    old = [point for number, point in enumerate(points) if number not in before]
    new = [point for number, point in enumerate(points) if number not in after]
    assume(old and new)
    set_ = {path.partition("=")[0] for point in points for path in point}
    assume(not any(f"own.{path}" in paths([*ours, *theirs]) for path in set_))
    base = sweep_of(branches, state_of(start), old)
    one = sweep_of(branches, state_of(start, *ours), old)
    two = sweep_of(branches, state_of(start, *theirs), new)
    assume(base and one and two)
    assert base and one and two
    together = sweep_of(branches, state_of(start, *ours, *theirs), new)
    try:
        merged = merge_sweeps(base, one, two)
    except CompileError as error:
        assert together is None or {found.code for found in error.problems} == {"merge"}
    else:
        assert together is not None and merged.text == together.text
        assert merge_sweeps(base, two, one).text == merged.text


def test_an_added_point_takes_what_the_other_side_changes(branches: Branches) -> None:
    """Where it differs from known points in values of the same keys alone."""
    base = sweep_of(branches, state_of(()), RATES[:2])
    deploy, leaves_ = "own.deploy.max_records=100", "own.model.params.num_leaves=7"
    added = sweep_of(branches, state_of(()), RATES[:3])
    assert base and added
    for other, merges in ((deploy, True), (leaves_, False)):
        ours = sweep_of(branches, state_of((), other), RATES[:2])
        both = sweep_of(branches, state_of((), other), RATES[:3])
        assert ours and both
        if merges:
            assert merge_sweeps(base, ours, added).text == both.text
            continue
        with pytest.raises(CompileError, match="train reads what both change"):
            merge_sweeps(base, ours, added)
    ours = sweep_of(branches, state_of((), deploy), RATES[:2])
    unlike = sweep_of(branches, state_of(()), [*RATES[:2], ['deploy.name="till"']])
    assert ours and unlike
    with pytest.raises(CompileError, match=r"no point is known to differ from deploy\.name="):
        merge_sweeps(base, ours, unlike)
    fewer = sweep_of(branches, state_of(()), RATES[:1])
    assert fewer
    with pytest.raises(CompileError, match="both change which points there are"):
        merge_sweeps(base, added, fewer)


@pytest.mark.parametrize("start", STARTS, ids=",".join)
def test_a_lock_compiles_to_itself_from_its_own_causes(
    branches: Branches, start: Sequence[str]
) -> None:
    more = CHANGES if not start else ()
    for names in ((), *((name,) for name in more)):
        if lock := branches.lock(state_of(start, *names)):
            assert again(lock).text == lock.text


def test_a_lock_that_another_version_wrote_is_not_merged(branches: Branches) -> None:
    base, ours, theirs = (
        branches.lock(state_of((), *names))
        for names in ((), ("own.deploy.name=till",), ("own.data.split.test_size=0.3",))
    )
    assert base and ours and theirs
    step = theirs.plan["evaluate"]
    steps = tuple(replace(s, version=1) if s is step else s for s in theirs.plan.steps)
    older = replace(theirs, plan=Plan(steps=steps))
    with pytest.raises(CompileError, match="the lock of theirs is not as this version of"):
        merge_locks(base, ours, older)
