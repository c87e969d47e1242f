"""Compares the steps of two locks by name: each is the same, or differs for causes of its own, or
for what it takes from others alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from typing import Any

from mlops_compile.compiler.compare.categories import category_of
from mlops_compile.compiler.compare.causes import config_key, own_causes, with_default
from mlops_compile.ir.change import Cause, Effect, StepChange
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.value import KeyPath, Map, Value, freeze, leaves, same, thaw
from mlops_compile.steps.kinds import CHOSEN, asked_of


class Side:
    """A lock with what comparing needs of it, made once."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.steps: dict[str, Step] = {step.name: step for step in lock.plan.steps}
        self._needs: dict[int, Needs] = {}

    def needs(self, step: Step) -> Needs:
        """What a step needs; of one that is not known here, all that there is."""
        found = self._needs.get(id(step))
        if found is None:
            asked = asked_of(step)
            if asked is None:
                names = tuple(name for name, _ in self.lock.environment)
                called = tuple(function.name for function in self.lock.code.functions)
                asked = Needs(distributions=names, functions=called, contract=True)
            found = self._needs[id(step)] = asked
        return found

    @cached_property
    def config(self) -> dict[KeyPath, Value]:
        """The leaves of the config that any step reads."""
        found: dict[KeyPath, Value] = {}
        for step in self.lock.plan.steps:
            found.update((config_key(path, step), value) for path, value in leaves(step.params))
        return found

    @cached_property
    def stated(self) -> Map:
        """The same as a map."""
        found: dict[str, Any] = {}
        for path, value in self.config.items():
            inner = found
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            if path:
                inner.setdefault(path[-1], {} if isinstance(value, Map) else thaw(value))
        stated = freeze(found)
        assert isinstance(stated, Map)
        return stated


def compare_steps(old: Side, new: Side) -> tuple[StepChange, ...]:
    """The steps of the new plan in its order, then those that only the old one has."""
    outside = _outside_differs(old.lock, new.lock)
    found: dict[str, StepChange] = {}
    for name, step in new.steps.items():
        was = old.steps.get(name)
        if was is None:
            causes = tuple(_alone(step, new, old, added=True))
            found[name] = StepChange(name=name, kind=step.kind, change="added", causes=causes)
            continue
        causes = ()
        if outside or was is not step:
            causes = tuple(_causes(was, step, old, new, outside))
        upstream = _upstream(was, step, found)
        found[name] = StepChange(
            name=name,
            kind=step.kind,
            change="changed" if causes or upstream else "same",
            causes=causes,
            upstream=upstream,
        )
    for name, step in old.steps.items():
        if name not in new.steps:
            causes = tuple(_alone(step, old, new, added=False))
            found[name] = StepChange(name=name, kind=step.kind, change="removed", causes=causes)
    return tuple(found.values())


def _outside_differs(old: Lock, new: Lock) -> bool:
    """Whether anything differs that steps take from outside of the plan."""
    return not (
        old.environment == new.environment
        and old.code == new.code
        and old.sources == new.sources
        and old.contract == new.contract
        and old.contracts == new.contracts
    )


def _causes(was: Step, step: Step, old: Side, new: Side, outside: bool) -> Iterator[Cause]:
    alike = was.kind == step.kind and was.params == step.params
    if alike and not outside:  # equal, but for numbers of another type
        needs = Needs()
        yield from own_causes((old.lock, was, needs), (new.lock, step, needs))
        return
    left, right = old.needs(was), new.needs(step)
    if _is_chosen(was) != _is_chosen(step):  # the one behind a search needs what is not known yet
        left = right = right if _is_chosen(was) else left
    yield from own_causes((old.lock, was, left), (new.lock, step, right))


def _is_chosen(step: Step) -> bool:
    return CHOSEN in dict(step.inputs)


def _upstream(was: Step, step: Step, found: Mapping[str, StepChange]) -> tuple[str, ...]:
    """The steps that a step takes from and that differ, or that it took from before."""
    before, after = dict(was.inputs), dict(step.inputs)
    names = []
    for port, ref in step.inputs:
        if before.get(port) != ref or found[ref.step].change != "same":
            names.append(ref.step)
    names += [ref.step for port, ref in was.inputs if port not in after]
    return tuple(dict.fromkeys(names))


def _alone(step: Step, own: Side, other: Side, *, added: bool) -> Iterator[Cause]:
    """Why a step stands in one plan alone: what of the config that it reads the other has not."""
    for param, value in leaves(step.params):
        if not param:  # a step that reads nothing
            continue
        path = config_key(param, step)
        known = path in other.config
        if known and same(other.config[path], value):
            continue
        theirs = other.config.get(path)
        before, after = (theirs, value) if added else (value, theirs)
        cause = Cause(
            path=path,
            category=category_of(path, step.kind),
            sort="changed" if known else "added" if added else "removed",
            old=before,
            new=after,
        )
        yield cause if known else with_default(cause, other.stated, step)
    if step.source is not None and step.source not in dict(other.lock.sources):
        rows = own.lock.source(step.source).rows
        yield Cause(
            path=("sources", step.source, "rows"),
            category="data",
            sort="added" if added else "removed",
            old=None if added else rows,
            new=rows if added else None,
        )


def as_if_made(
    steps: tuple[StepChange, ...], old: Side, new: Side
) -> dict[str, tuple[Effect, str]]:
    """The effect of each step of the new plan where all results of the old plan are there, and no
    others; and why. A step that is made as another is, of other inputs, may run: nobody knows
    before whether these inputs come out equal."""
    found: dict[str, tuple[Effect, str]] = {}
    made = _Made(old, new)
    for change in steps:
        if change.change == "removed":
            continue
        step = new.steps[change.name]
        waits = [ref.step for _, ref in step.inputs if found[ref.step][0] != "hit"]
        if change.change == "same":
            found[step.name] = "hit", "unchanged"
        elif waits:
            found[step.name] = "maybe", f"waits for {', '.join(sorted(set(waits)))}"
        elif (other := made.like(step)) is not None:
            found[step.name] = "maybe", f"may come out as {other}"
        else:
            found[step.name] = "run", "changed" if change.change == "changed" else "new"
    return found


class _Made:
    """The steps that are made: all of the old plan, and of the new one those asked for."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old, self._new = old, new
        self._alike: dict[tuple[str, Map], list[Step]] = {}
        for step in old.lock.plan.steps:
            self._alike.setdefault((step.kind, step.params), []).append(step)
        self._signed: dict[tuple[str, Map], dict[Hashable, str]] = {}

    def like(self, step: Step) -> str | None:
        """The name of a made step with the same causes, but for what its inputs hold; None if there
        is none: then this one is made now."""
        key = step.kind, step.params
        known = self._signed.get(key)
        if known is None:
            alike = self._alike.get(key, ())
            known = self._signed[key] = {_signature(self._old, one): one.name for one in alike}
        own = _signature(self._new, step)
        if own in known:
            return known[own]
        known[own] = step.name
        return None


def _signature(side: Side, step: Step) -> Hashable:
    """All causes of a step but its kind, its params and what its inputs hold."""
    needs, lock = side.needs(step), side.lock
    versions = dict(lock.environment)
    names = sorted({*needs.distributions, *lock.code.distributions(needs.functions)})
    digests = {function.name: function.digest for function in lock.code.functions}
    return (
        step.version,
        step.outputs,
        step.seed,
        tuple(port for port, _ in step.inputs),
        tuple((name, versions.get(name)) for name in names),
        tuple((name, digests.get(name)) for name in needs.functions),
        None if step.source is None else lock.source(step.source).identity,
        lock.contract_of(step.name) if needs.contract else None,
    )
