"""The registry: numbers, aliases and history, whoever changes them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import StoreError
from mlops_compile.ir.value import Map
from mlops_compile.ir.version import Version
from mlops_compile.registry.connect import registry_at
from mlops_compile.registry.registry import Lost, Registry


def version(name: str, seed: int) -> Version:
    """A version of a plan of its own."""
    digest = digest_of(f"{name} {seed}".encode())
    return Version(
        name=name,
        number=1,
        plan=digest.sha256,
        lock=digest,
        record=digest_of(b"record"),
        model=digest_of(b"model %d" % seed).sha256,
        bundle=digest_of(b"bundle %d" % seed),
        metrics=Map({"roc_auc": 0.5 + seed / 1000}),
        data=Map({"adult": digest.sha256}),
    )


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Registry]]:
    """Opens one registry, as a process of its own would."""
    held = []

    def open_one() -> Registry:
        entered = registry_at(f"sqlite:///{tmp_path}/registry/r.db", "", lambda: 1.5, "ann")
        held.append(entered)
        return entered.__enter__()

    yield open_one
    for entered in held:
        entered.__exit__(None, None, None)


def test_of_one_plan_and_bundle_there_is_one_version(opened: Callable[[], Registry]) -> None:
    registry = opened()
    first, is_new = registry.register(version("a", 1))
    assert (str(first), is_new, first.made, first.by) == ("a:1", True, 1.5, "ann")
    assert registry.register(version("a", 1)) == (first, False)
    assert str(registry.register(version("a", 2))[0]) == "a:2"
    assert str(registry.register(version("b", 1))[0]) == "b:1"
    assert opened().version("a", 1) == first and opened().version("a", 3) is None
    assert [*map(str, registry.versions())] == ["a:2", "a:1", "b:1"]
    assert [*map(str, registry.versions("a", most=1))] == ["a:2"]
    assert registry.names() == ("a", "b")
    assert [(e.name, e.what, e.version) for e in registry.history()] == [
        ("b", "registered", 1),
        ("a", "registered", 2),
        ("a", "registered", 1),
    ]


def test_who_compared_with_another_state_is_told(opened: Callable[[], Registry]) -> None:
    registry = opened()
    for seed in (1, 2, 3):
        registry.register(version("a", seed))
    assert registry.meant("a", "champion") == (None, 0)
    registry.assign("a", "champion", 1, revision=0, about=Map({"difference": 0.5}))
    number, revision = registry.meant("a", "champion")
    assert (number, revision) == (1, 1)
    opened().assign("a", "champion", 2, revision=revision, reason="because")
    with pytest.raises(Lost) as lost:
        registry.assign("a", "champion", 3, revision=revision)
    assert lost.value.version == 2 and registry.meant("a", "champion") == (2, 2)
    with pytest.raises(Lost):
        registry.assign("a", "champion", 3, revision=0)
    told = registry.history("a", "champion")
    assert [(e.what, e.before, e.version, e.reason) for e in told] == [
        ("promoted", 1, 2, "because"),
        ("promoted", None, 1, ""),
    ]
    assert told[1].about == Map({"difference": 0.5})


def test_all_who_come_at_once_get_a_number_and_one_the_alias(
    opened: Callable[[], Registry],
) -> None:
    registries = [opened() for _ in range(8)]
    together = threading.Barrier(8)

    def come(number: int) -> tuple[int, bool]:
        together.wait()
        made, _ = registries[number].register(version("a", number))
        together.wait()
        try:
            registries[number].assign("a", "champion", made.number, revision=0)
        except Lost:
            return made.number, False
        return made.number, True

    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(come, range(8))]
    assert sorted(number for number, _ in found) == [*range(1, 9)]
    (won,) = (number for number, has_won in found if has_won)
    assert registries[0].meant("a", "champion") == (won, 1)
    assert len(registries[0].history("a", "champion")) == 1


def test_archived_once_and_restored_once(opened: Callable[[], Registry]) -> None:
    registry = opened()
    registry.register(version("a", 1))
    assert [registry.mark_archived("a", 1, True) for _ in range(2)] == [True, False]
    found = registry.version("a", 1)
    assert found is not None and found.archived == 1.5
    assert [registry.mark_archived("a", 1, False) for _ in range(2)] == [True, False]
    assert [event.what for event in registry.history()] == ["restored", "archived", "registered"]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nothing", "is no URI of a database"),
        ("sqlite:////proc/nothing/r.db", "cannot"),
        ("sqlite:////dev/null/r.db", "cannot"),
    ],
)
def test_a_registry_that_cannot_be_used_is_told(uri: str, said: str) -> None:
    with pytest.raises(StoreError) as refused, registry_at(uri, "ann:canary", lambda: 0.0, "ann"):
        pass
    assert said in str(refused.value) and "canary" not in str(refused.value)


class Model(RuleBasedStateMachine):
    """The registry beside plain lists and dicts."""

    @initialize()
    def begin(self) -> None:
        self._entered = registry_at("sqlite://", "", lambda: 0.0, "ann")
        self.registry = self._entered.__enter__()
        self.plans: dict[str, list[int]] = {"a": [], "b": []}
        self.aliases: dict[tuple[str, str], list[int]] = {}
        self.events = 0

    @rule(name=st.sampled_from("ab"), seed=st.integers(0, 5))
    def register(self, name: str, seed: int) -> None:
        found, is_new = self.registry.register(version(name, seed))
        assert is_new == (seed not in self.plans[name])
        if is_new:
            self.plans[name].append(seed)
            self.events += 1
        assert found == replace(
            version(name, seed), number=self.plans[name].index(seed) + 1, by="ann"
        )

    @rule(name=st.sampled_from("ab"), alias=st.sampled_from("xy"), data=st.data())
    def assign(self, name: str, alias: str, data: st.DataObject) -> None:
        if not self.plans[name]:
            return
        number = data.draw(st.integers(1, len(self.plans[name])))
        meant = self.aliases.setdefault((name, alias), [])
        revision = data.draw(st.sampled_from([len(meant), len(meant) + 1, 0]))
        try:
            self.registry.assign(name, alias, number, revision=revision)
        except Lost:
            assert revision != len(meant)
        else:
            assert revision == len(meant)
            meant.append(number)
            self.events += 1

    @invariant()
    def is_as_told(self) -> None:
        for (name, alias), meant in self.aliases.items():
            told = self.registry.history(name, alias)
            assert [event.version for event in reversed(told)] == meant
            assert self.registry.meant(name, alias) == (meant[-1] if meant else None, len(meant))
        assert len(self.registry.history()) == self.events

    def teardown(self) -> None:
        if hasattr(self, "_entered"):
            self._entered.__exit__(None, None, None)


Model.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestModel = Model.TestCase
