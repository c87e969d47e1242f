"""Sweeps: many locks as one document and one plan; what stands in it, and what comes out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.api.compiling import compile, compile_config
from mlops_compile.api.sweeping import Swept, compile_points, merge_sweep
from mlops_compile.compiler.compose.config import compose
from mlops_compile.ir.difference import applied, difference
from mlops_compile.ir.key import key_of, plan_preimages
from mlops_compile.ir.lock import Lock, decode, encode, parse_document
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.sweep import Sweep, SweepPoint, decode_sweep
from mlops_compile.ir.value import Map, Value, canonical, freeze
from mlops_compile.steps.kinds import needs_of
from tests.project import make
from tests.strategies import edited, locks, places

# A seed that every step has, a parameter, other families, another data set, and more steps.
POINTS: list[tuple[str, ...]] = [
    (),
    ("seed=1",),
    ("seed=1", "model.params.num_leaves=15"),
    ("model=ridge", "data=diabetes"),
    ("model=random_forest",),
    ("model=random_forest", "model.params.n_estimators=7"),
    ("evaluate.cross_validation={kind: random, folds: 2}",),
    ("data.columns={age: {sensitive: true}}", "deploy.name=other"),
]
KEYS = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.sampled_from([None, True, 1, 1.0, 0, -0.0, "1", "x"])
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3)
)
MAPS = st.dictionaries(KEYS, TREES, max_size=4).map(freeze)


@given(old=MAPS, new=MAPS)
def test_a_difference_leads_from_one_map_to_the_other(old: Value, new: Value) -> None:
    assert isinstance(old, Map) and isinstance(new, Map)
    change = difference(old, new)
    assert canonical(applied(old, change)) == canonical(new)
    if canonical(old) == canonical(new):
        assert not len(change.set) and not change.without


@given(held=st.lists(locks(), min_size=1, max_size=4))
def test_a_sweep_is_read_as_it_was_written(held: list[Lock]) -> None:
    points = tuple(SweepPoint(overrides=(f"seed={n}",), lock=lock) for n, lock in enumerate(held))
    sweep = Sweep(points=points)
    back = decode_sweep(parse_document(sweep.text, "it"), "it")
    assert back == sweep and back.text == sweep.text and back.digest == sweep.digest


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def swept(project: Path) -> Swept:
    return compile_points([compose(words, project) for words in POINTS], project)


def test_a_point_taken_out_is_what_compiling_it_alone_gives(project: Path, swept: Swept) -> None:
    sweep = decode_sweep(parse_document(swept.sweep.text, "it"), "it")
    assert len(sweep.points) == len(POINTS)
    for words, point in zip(POINTS, sweep.points, strict=True):
        assert encode(point.lock) == encode(compile(words, project=project)), words
        assert point.overrides == words


def test_steps_of_a_sweep_have_the_keys_that_they_have_alone(swept: Swept) -> None:
    merged = swept.merged
    assert merged is not None
    together = _keys(merged.lock)
    assert together == merged.keys and len(set(together.values())) == len(together)
    for point, names in zip(swept.points, merged.names, strict=True):
        assert point.lock is not None
        alone = _keys(point.lock)
        assert alone == {name: together[names[name]] for name in alone}
    assert merge_sweep(swept.sweep) == merged
    # Its text is a lock's, by which a collection knows what a run needs.
    assert merged.lock.contracts and decode(encode(merged.lock)) == merged.lock


def _keys(lock: Lock) -> dict[str, str]:
    return {name: key_of(value) for name, value in plan_preimages(lock, needs_of(lock)).items()}


def test_what_all_points_share_keeps_its_name(project: Path) -> None:
    configs = [compose((f"model.params.num_leaves={n}",), project) for n in (3, 4)]
    merged = compile_points(configs, project).merged
    assert merged is not None
    names = [step.name for step in merged.lock.plan.steps]
    assert {"acquire", "validate", "split", "inspect", "prepare"} < set(names)
    assert {"point/0/train", "point/1/train"} < set(names) and "train" not in names


def test_equal_points_are_one(project: Path) -> None:
    words = [("seed=1",), ("seed=1", "deploy.name=shop"), ("seed=2",), ("seed=1",)]
    swept = compile_points([compose(each, project) for each in words], project)
    assert [point.overrides for point in swept.points] == [words[0], words[2]]
    assert swept.jobs == (0, 2)


def test_what_was_shared_is_what_each_would_have_made(project: Path) -> None:
    """Of points that are right and of such that are wrong, with what is wrong."""
    params = [f"model.params.num_leaves={n}" for n in ("2", "1", "x")]
    words = [(text, f"seed={seed}") for text in params for seed in (1, -1)]
    configs = [compose(each, project) for each in words]
    swept = compile_points(configs, project)
    for config, point in zip(configs, swept.points, strict=True):
        if point.lock is not None:
            assert encode(point.lock) == encode(compile_config(config, project).lock)
            continue
        assert point.error is not None
        with pytest.raises(CompileError) as alone:
            compile_config(config, project)
        assert point.error.problems == alone.value.problems
    assert [point.lock is None for point in swept.points] == [False, *[True] * 5]


def test_a_sweeps_lock_is_small(project: Path) -> None:
    configs = [compose((f"model.params.num_leaves={n}",), project) for n in range(2, 6)]
    sweep = compile_points(configs, project).sweep
    first = len(encode(sweep.points[0].lock))
    assert len(sweep.text) < first + 4 * 400
    assert json.loads(sweep.text)["points"][1] == {
        "overrides": ["model.params.num_leaves=3"],
        "set": {"steps": {"train": {"params": {"model": {"params": {"num_leaves": 3}}}}}},
    }


def test_every_edit_of_a_sweep_is_read_or_told(swept: Swept) -> None:
    """Any value in it that is replaced gives another sweep, or an error that names its place."""
    text = swept.sweep.text
    value = json.loads(text)
    value["points"] = value["points"][:4]
    text = json.dumps(value)
    for path in places(value["points"]):
        for other in (None, -1, {"x": 1}, ["x"]):
            spoilt = edited(text, ("points", *path), other)
            try:
                read = decode_sweep(parse_document(spoilt, "it"), "it")
            except CompileError as error:
                assert all(found.where for found in error.problems), (path, other)
            else:
                assert read.text != swept.sweep.text


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("points",), [], ("points",)),
        (("points", "0", "set"), {}, ("points", "0", "set")),
        (("points", "1", "like"), 7, ("points", "1", "like")),
        (("points", "1", "like"), True, ("points", "1", "like")),
        (("points", "1", "more"), 1, ("points", "1", "more")),
        (("points", "1", "overrides"), [1], ("points", "1", "overrides")),
        (("points", "1", "without"), [["steps", "none"]], ("points", "1")),
        (("points", "1", "set", "steps", "train", "kind"), 3, ("steps", "train", "kind")),
    ],
)
def test_a_sweep_is_read_strictly(
    swept: Swept, path: tuple[str, ...], value: Any, where: tuple[str, ...]
) -> None:
    document: Any = json.loads(swept.sweep.text)
    inner = document
    for key in path[:-1]:
        inner = inner[int(key)] if isinstance(inner, list) else inner.setdefault(key, {})
    inner[path[-1]] = value
    with pytest.raises(CompileError) as error:
        decode_sweep(parse_document(json.dumps(document), "it"), "it")
    assert where in [found.where for found in error.value.problems]


def test_one_plan_is_not_a_sweep(swept: Swept) -> None:
    with pytest.raises(CompileError, match="points"):
        decode(swept.sweep.text)
