"""Effects: what a run would do and why, said from keys alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mlops_compile.compiler.effects import Effect, changes, effects
from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.key import action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.value import Map, Value, freeze
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


def told(lock: Lock, store: Made, before: Lock | None = None) -> dict[str, Effect]:
    earlier: dict[str, Any] = plan_preimages(before, needs_of(before)) if before else {}

    def last(name: str) -> Value:
        return earlier.get(name)

    found = effects(lock, needs_of(lock), Map(), store.get, last)
    return {effect.step.name: effect for effect in found}


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
        **dict.fromkeys(("acquire", "validate", "split", "prepare"), "hit"),
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
    assert '"1.0" -> "2.0"' in upgraded["acquire"].reason and "more" in upgraded["acquire"].reason


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


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {"params": {"a": 1}}, []),
        ("broken", {"params": {"a": 1}}, []),
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
        ({"version": 1}, {"version": 2}, ["version 1 -> 2"]),
        (
            {"params": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}},
            {"params": {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2}},
            ["a 1 -> 2", "b 1 -> 2", "c 1 -> 2", "and 2 more"],
        ),
    ],
    ids=str,
)
def test_changes_are_said_briefly(before: Any, after: Any, expected: list[str]) -> None:
    frozen = freeze(after)
    assert isinstance(frozen, Map)
    assert changes(freeze(before), frozen) == expected
