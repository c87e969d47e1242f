"""Effects: what a run would do and why, said from keys alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mlops_compile.compiler.effects import Effect, effects
from mlops_compile.compiler.explain import causes, explained
from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.kinds import needs_of
from tests.strategies import BASE, lock_of, tweak

LOCK = lock_of(BASE)
ORDER = [step.name for step in LOCK.plan.steps]
Made = dict[str, Mapping[str, Digest]]


def made_by(lock: Lock, names: list[str] = ORDER, salt: str = "") -> Made:
    """A store in which these steps of a lock are made, each output from the step's name."""
    known: dict[str, Mapping[str, Digest]] = {}
    store: Made = {}
    needs = needs_of(lock)
    for step in lock.plan.steps:
        inputs = {port: known[ref.step][ref.output] for port, ref in step.inputs}
        outputs = {p: digest_of(f"{salt}{step.name}.{p}".encode()) for p in step.outputs}
        known[step.name] = outputs
        if step.name in names:
            store[key_of(action_preimage(lock, step, needs[step.name], inputs, Map()))] = outputs
    return store


@dataclass(frozen=True)
class Result:
    """An earlier result, as the store would give it."""

    preimage: Map
    about: Map = field(default_factory=Map)


def told(
    lock: Lock, store: Made, before: Lock | None = None, about: Map | None = None
) -> dict[str, Effect]:
    earlier = actions_of(before) if before else {}

    def nearest(kind: str, name: str) -> Sequence[Result]:
        return (Result(earlier[name], about or Map()),) if name in earlier else ()

    latest = {name: key_of(preimage) for name, preimage in earlier.items()}
    found = effects(lock, needs_of(lock), Map(), store.get, nearest, latest)
    return {effect.step.name: effect for effect in found}


def actions_of(lock: Lock) -> dict[str, Map]:
    """What the action keys of a lock's steps were made of, with the outputs of `made_by`."""
    known: dict[str, Mapping[str, Digest]] = {}
    found, needs = {}, needs_of(lock)
    for step in lock.plan.steps:
        inputs = {port: known[ref.step][ref.output] for port, ref in step.inputs}
        known[step.name] = {p: digest_of(f"{step.name}.{p}".encode()) for p in step.outputs}
        found[step.name] = action_preimage(lock, step, needs[step.name], inputs, Map())
    return found


def kinds(found: dict[str, Effect]) -> dict[str, str]:
    return {name: effect.effect for name, effect in found.items()}


def test_nothing_made_runs_first_and_may_run_then() -> None:
    found = told(LOCK, {})
    assert kinds(found) == {"acquire": "run", **dict.fromkeys(ORDER[1:], "maybe")}
    assert found["acquire"].reason == "new"
    assert found["validate"].reason == "waits for acquire"


def test_all_that_is_made_is_hit() -> None:
    found = told(LOCK, made_by(LOCK), LOCK)
    assert set(kinds(found).values()) == {"hit"}
    assert {effect.reason for effect in found.values()} == {"unchanged"}


def test_a_change_is_named_with_old_and_new() -> None:
    other = lock_of(tweak(BASE, model__params={"num_iterations": 9}))
    found = told(other, made_by(LOCK), LOCK)
    assert kinds(found) == {
        **dict.fromkeys(ORDER[: ORDER.index("train")], "hit"),
        "train": "run",
        "evaluate": "maybe",
        "package": "maybe",
    }
    assert found["train"].reason == "model.params.num_iterations 5 -> 9"
    assert found["evaluate"].reason == "waits for train"


def test_going_back_is_hit() -> None:
    other = lock_of(tweak(BASE, model__params={"num_iterations": 9}))
    found = told(LOCK, made_by(LOCK), other)
    assert set(kinds(found).values()) == {"hit"}
    assert found["train"].reason == "made before"


def test_a_changed_seed_version_and_source_are_named() -> None:
    seeded = told(lock_of(tweak(BASE, seed=1)), made_by(LOCK), LOCK)
    assert seeded["split"].reason == "seed 0 -> 1"
    upgraded = told(lock_of(BASE, version="2.0"), made_by(LOCK), LOCK)
    assert upgraded["acquire"].effect == "run"
    assert "1.0 -> 2.0" in upgraded["acquire"].reason and "more" in upgraded["acquire"].reason


@pytest.mark.parametrize("name", ORDER)
def test_a_lost_result_runs_and_the_rest_waits_for_it(name: str) -> None:
    names = [step for step in ORDER if step != name]
    found = told(LOCK, made_by(LOCK, names), LOCK)
    assert found[name].effect == "run"
    assert found[name].reason
    for step in LOCK.plan.steps:
        waits = {ref.step for _, ref in step.inputs if kinds(found)[ref.step] != "hit"}
        if waits:
            assert found[step.name].effect == "maybe"
            assert found[step.name].reason == f"waits for {', '.join(sorted(waits))}"


def test_a_hit_never_stands_behind_what_is_not_made() -> None:
    for length in range(len(ORDER)):
        found = kinds(told(LOCK, made_by(LOCK, ORDER[:length])))
        for step in LOCK.plan.steps:
            if found[step.name] == "hit":
                assert all(found[ref.step] == "hit" for _, ref in step.inputs)


def test_keys_are_plan_keys() -> None:
    preimages = plan_preimages(LOCK, needs_of(LOCK))
    assert {n: e.key for n, e in told(LOCK, {}).items()} == {
        name: key_of(preimage) for name, preimage in preimages.items()
    }


def test_equal_steps_of_a_plan_run_once() -> None:
    train = LOCK.plan["train"]
    twin = replace(train, name="twin")
    lock = replace(LOCK, plan=Plan(steps=(*LOCK.plan.steps, twin)))
    found = told(lock, made_by(LOCK, ["acquire", "validate", "split", "prepare"]))
    assert (found["train"].effect, found["twin"].effect) == ("run", "maybe")
    assert found["twin"].reason == "the same as train"


def with_source(lock: Lock, text: bytes, rows: int, **types: str) -> Lock:
    source = lock.source("data")
    columns = tuple(
        replace(column, type=types.get(column.name, column.type)) for column in source.columns
    )
    now = replace(source, digest=digest_of(text), rows=rows, columns=columns)
    return replace(lock, sources=(("data", now),))


def test_other_data_is_said_as_rows_and_columns() -> None:
    old = with_source(LOCK, b"old", 100)
    about = freeze({"rows": 100})
    assert isinstance(about, Map)

    def reason(lock: Lock) -> str:
        return told(lock, made_by(old), old, about)["acquire"].reason

    assert reason(with_source(LOCK, b"new", 220)) == "data: 120 rows more"
    assert reason(with_source(LOCK, b"new", 99)) == "data: 1 row fewer"
    assert reason(with_source(LOCK, b"new", 100)) == "data: other content in as many rows"
    name, kind = LOCK.source("data").columns[0].name, LOCK.source("data").columns[0].type
    other = with_source(LOCK, b"old", 100, **{name: "string"})
    assert reason(other) == f"data: column {name} {kind} -> string"


def test_the_nearest_of_earlier_results_explains() -> None:
    step = LOCK.plan["train"]
    preimage = actions_of(LOCK)["train"]

    def result(**params: Any) -> Result:
        return Result(actions_of(lock_of(tweak(BASE, model__params=params)))["train"])

    far = result(num_iterations=9, num_leaves=3, max_depth=2)
    near = result(num_iterations=7)
    same = causes(LOCK, step, preimage, (far, near), inputs=True)
    assert explained(same) == ["model.params.num_iterations 7 -> 5"]
    assert causes(LOCK, step, preimage, (far, Result(preimage)), inputs=True) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"params": {"a": 1}}, {"params": {"a": 1}}, []),
        ({"params": {"a": 1}}, {"params": {"a": 1.0}}, ["a 1 -> 1.0"]),
        ({"params": {"a": 1}}, {"params": {"a": True}}, ["a 1 -> true"]),
        (
            {"params": {"a": {"b c": 1}}},
            {"params": {"a": {}}},
            ["a {} added", 'a."b c" 1 left out'],
        ),
        ({"params": {}}, {"params": {"a": "x"}}, ['a "x" added']),
        ({"inputs": {"a": "1"}}, {"inputs": {"a": "2"}}, []),
        ({"version": 1}, {"version": 2}, ["version of the step kind 1 -> 2"]),
        (
            {"environment": {"lightgbm": "4.6.0"}},
            {"environment": {"lightgbm": "4.7.0"}},
            ["lightgbm 4.6.0 -> 4.7.0"],
        ),
        (
            {"code": {"features.ratio": "a"}},
            {"code": {"features.ratio": "b"}},
            ["code of features.ratio changed"],
        ),
        (
            {"params": {"model": "x"}, "environment": {"blas": "1", "lightgbm": "2"}, "seed": 1},
            {"params": {"model": "y"}, "environment": {"blas": "1"}, "seed": 2},
            ['model "x" -> "y"', "seed 1 -> 2", "lightgbm 2 left out"],
        ),
        (
            {"params": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}},
            {"params": {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2}},
            ["a 1 -> 2", "b 1 -> 2", "c 1 -> 2", "and 2 more"],
        ),
    ],
    ids=str,
)
def test_changes_are_said_briefly(before: Any, after: Any, expected: list[str]) -> None:
    old, new = freeze(before), freeze(after)
    assert isinstance(old, Map) and isinstance(new, Map)
    found = causes(LOCK, LOCK.plan["train"], new, (Result(old),), inputs=False)
    assert explained(found) == expected
