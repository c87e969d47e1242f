"""Keys: equal for equal causes, another for each cause, and frozen in their form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, derived_seed, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.kinds import KINDS, needs_of
from tests.strategies import BASE, lock_of, maps, plain, shuffled, texts, tweak

LOCK = lock_of(BASE)
STEPS = tuple(step.name for step in LOCK.plan.steps)
HERE = freeze({"os": "linux", "cpu": ["avx2"]})


def plan_keys(lock: Lock) -> dict[str, str]:
    return {
        name: key_of(preimage) for name, preimage in plan_preimages(lock, needs_of(lock)).items()
    }


def action_keys(lock: Lock, platform: Any = HERE) -> dict[str, str]:
    """Every step's action key, with made-up content for its inputs."""
    needs = needs_of(lock)
    found = {}
    for step in lock.plan.steps:
        inputs = {port: Digest(sha256="cd" * 32, size=1) for port, _ in step.inputs}
        found[step.name] = key_of(action_preimage(lock, step, needs[step.name], inputs, platform))
    return found


def changed(old: dict[str, str], new: dict[str, str]) -> set[str]:
    assert set(old) == set(new)
    return {name for name in old if old[name] != new[name]}


def with_source(lock: Lock, **fields: Any) -> Lock:
    ((name, source),) = lock.sources
    return replace(lock, sources=((name, replace(source, **fields)),))


def with_version(lock: Lock, name: str) -> Lock:
    environment = {**dict(lock.environment), name: "99"}
    return replace(lock, environment=tuple(sorted(environment.items())))


# The form, frozen: a change here makes every result in every store a miss.

GOLDEN = {
    "level": "action",
    "kind": "train",
    "version": 1,
    "params": {"model": {"family": "ridge", "params": {"alpha": 1.0, "é": [1, True, None, "x"]}}},
    "inputs": {"features": "ab" * 32},
    "outputs": ["model"],
    "environment": {"numpy": "2.4.0"},
    "seed": 0,
}


def test_the_form_of_keys_is_frozen() -> None:
    frozen = freeze(GOLDEN)
    assert isinstance(frozen, Map)
    assert key_of(frozen) == "ddf031417aef548daae5ed6f2484af3afe1f37a39726fbb3eea2ba39df9786c8"


@pytest.mark.parametrize(
    ("seed", "roles", "expected"),
    [(0, ("split",), 889237808), (0, ("train",), 1837447300), (7, ("split", "a"), 847709721)],
)
def test_derived_seeds_are_frozen(seed: int, roles: tuple[str, ...], expected: int) -> None:
    assert derived_seed(seed, *roles) == expected


def test_preimages_of_a_lock_are_frozen() -> None:
    preimages = plan_preimages(LOCK, needs_of(LOCK))
    assert preimages["acquire"] == freeze(
        {
            "level": "plan",
            "kind": "acquire",
            "version": KINDS["acquire"].version,
            "params": {"data": {"source": {"kind": "sklearn", "options": {"name": "iris"}}}},
            "inputs": {},
            "outputs": ["table"],
            "environment": dict.fromkeys(needs_of(LOCK)["acquire"].distributions, "1.0"),
            "source": {
                "digest": "ab" * 32,
                "columns": {"length": "float64", "target": "string", "width": "float64"},
            },
        }
    )
    assert preimages["split"]["inputs"] == freeze(
        {
            "table": f"{key_of(preimages['validate'])}.table",
            "target": f"{key_of(preimages['validate'])}.target",
        }
    )
    assert preimages["split"]["seed"] == 0


# What matters


@given(maps, maps)
def test_two_preimages_have_one_key_only_if_they_are_one(left: Map, right: Map) -> None:
    from mlops_compile.ir.value import same

    assert (key_of(left) == key_of(right)) == same(left, right)


@given(plain, st.integers(1, 3))
def test_the_order_of_keys_does_not_matter(value: Any, turn: int) -> None:
    try:
        first = freeze({"params": value})
    except ValueError:
        return
    second = freeze({"params": shuffled(value, turn)})
    assert key_of(first) == key_of(second)  # type: ignore[arg-type]


@given(st.integers(0, 2**40), st.lists(texts, max_size=3), st.lists(texts, max_size=3))
def test_derived_seeds_are_apart_and_in_range(seed: int, one: list[str], other: list[str]) -> None:
    assert 0 <= derived_seed(seed, *one) < 2**31
    assert derived_seed(seed, *one) == derived_seed(seed, *one)
    if freeze(one) != freeze(other):  # 1 in 2^31 that this is wrong; examples are fixed
        assert derived_seed(seed, *one) != derived_seed(seed, *other)
        assert derived_seed(seed, *one) != derived_seed(seed + 1, *one)


def after(*names: str) -> set[str]:
    """These steps and all that follow from them."""
    found = set(names)
    for step in LOCK.plan.steps:
        if any(ref.step in found for _, ref in step.inputs):
            found.add(step.name)
    return found


@pytest.mark.parametrize(
    ("change", "own"),
    [
        ({"model__params": {"num_iterations": 6}}, ("train",)),
        ({"model__params": {"num_iterations": 5, "max_bin": 63}}, ("train",)),
        (
            {"seed": 1},
            ("split", "train", "evaluate"),  # whose intervals draw rows
        ),
        ({"data__split": {"kind": "stratified", "test_size": 0.3}}, ("split",)),
        ({"data__split": {"kind": "time", "column": "length"}}, ("split",)),
        (
            {"data__columns": {"length": {"role": "id"}}},
            (
                "validate",
                "package",
            ),
        ),
        ({"prepare": {"columns": {"length": ["impute"]}}}, ("prepare",)),
        ({"evaluate__metrics": ["accuracy"]}, ("evaluate",)),
        ({"evaluate__gates": {"accuracy": ">= 0.5"}}, ("package",)),
        ({"deploy__max_records": 5}, ("package",)),
        ({"data__name": "flowers"}, ("package",)),
        ({"store__uri": "elsewhere"}, ()),
        ({"execution__threads": 3}, ()),
        ({"evaluate__primary": "log_loss"}, ("package",)),
    ],
    ids=str,
)
def test_a_changed_cause_changes_the_keys_that_it_must_and_no_other(
    change: dict[str, Any], own: tuple[str, ...]
) -> None:
    other = lock_of(tweak(BASE, **change))
    assert changed(action_keys(LOCK), action_keys(other)) == set(own)
    assert changed(plan_keys(LOCK), plan_keys(other)) == after(*own)


def test_the_location_of_a_source_does_not_matter() -> None:
    moved = with_source(LOCK, location="elsewhere")
    assert moved.digest != LOCK.digest
    assert plan_keys(moved) == plan_keys(LOCK)
    assert action_keys(moved) == action_keys(LOCK)


@pytest.mark.parametrize("field", ["rows", "missing"])
def test_what_follows_from_the_bytes_does_not_matter(field: str) -> None:
    def fact(source: Source) -> dict[str, Any]:
        if field == "rows":
            return {"rows": 1}
        return {"columns": tuple(replace(column, missing=True) for column in source.columns)}

    other = with_source(LOCK, **fact(LOCK.source("data")))
    assert action_keys(other) == action_keys(LOCK)


def test_the_bytes_of_a_source_and_their_types_matter() -> None:
    bytes_changed = with_source(LOCK, digest=Digest(sha256="ef" * 32, size=1))
    types_changed = with_source(
        LOCK, columns=tuple(replace(c, type="string") for c in LOCK.source("data").columns)
    )
    for other in (bytes_changed, types_changed):
        assert changed(action_keys(LOCK), action_keys(other)) == {"acquire"}
        assert changed(plan_keys(LOCK), plan_keys(other)) == set(STEPS)


@pytest.mark.parametrize("name", sorted(dict(LOCK.environment)))
def test_a_version_matters_to_the_steps_that_declare_it_alone(name: str) -> None:
    needs = needs_of(LOCK)
    own = {step for step in STEPS if name in needs[step].distributions}
    assert own
    assert changed(action_keys(LOCK), action_keys(with_version(LOCK, name))) == own


def test_a_distribution_that_no_step_declares_does_not_matter() -> None:
    assert action_keys(with_version(LOCK, "zzz")) == action_keys(LOCK)


def test_the_contract_matters_where_it_is_declared_alone() -> None:
    fields = tuple(replace(field, nullable=not field.nullable) for field in LOCK.contract.request)
    other = replace(LOCK, contract=replace(LOCK.contract, request=fields))
    declared = {name for name, needs in needs_of(LOCK).items() if needs.contract}
    assert declared == {"package"}
    assert changed(action_keys(LOCK), action_keys(other)) == declared


def test_the_platform_matters_to_action_keys_where_it_is_declared_alone() -> None:
    declared = {name for name, needs in needs_of(LOCK).items() if needs.platform}
    assert "train" in declared and "acquire" not in declared
    there = freeze({"os": "linux", "cpu": []})
    assert changed(action_keys(LOCK), action_keys(LOCK, there)) == declared
    for preimage in plan_preimages(LOCK, needs_of(LOCK)).values():
        assert "platform" not in preimage


def test_content_of_inputs_matters_by_port() -> None:
    step, needs = LOCK.plan["split"], Needs()
    a, b = Digest(sha256="aa" * 32, size=1), Digest(sha256="bb" * 32, size=1)

    def key(table: Digest, target: Digest) -> str:
        inputs = {"table": table, "target": target}
        return key_of(action_preimage(LOCK, step, needs, inputs, Map()))

    assert len({key(a, a), key(a, b), key(b, a), key(b, b)}) == 4
    assert key(a, b) == key(replace(a, size=2), b)


@pytest.mark.parametrize(
    "ports", [(), ("table",), ("table", "target", "more"), ("tables", "target")]
)
def test_digests_of_other_ports_are_refused(ports: tuple[str, ...]) -> None:
    inputs = {port: Digest(sha256="aa" * 32, size=1) for port in ports}
    with pytest.raises(ValueError, match="split"):
        action_preimage(LOCK, LOCK.plan["split"], Needs(), inputs, Map())


def test_plan_and_action_keys_never_meet() -> None:
    assert not set(plan_keys(LOCK).values()) & set(action_keys(LOCK).values())
    assert len(set(plan_keys(LOCK).values())) == len(STEPS)
