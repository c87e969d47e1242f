"""A lock as a merge sees it: the config that it shows, and what each step reads of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mlops_compile.compiler.verify import config_of
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.three_way import Held, held
from mlops_compile.ir.value import KeyPath, Map, Value, leaves, same

# Of each path that a side changes, what was there and what is.
Changes = Mapping[KeyPath, tuple[Held, Held]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """A lock, and what it is called: `base`, `ours` or `theirs`."""

    name: str
    lock: Lock

    @cached_property
    def values(self) -> Map:
        """The config that it shows, without the seed."""
        return Map({name: item for name, item in config_of(self.lock).items() if name != "seed"})

    @cached_property
    def shown(self) -> Mapping[KeyPath, Value]:
        """Its values by path; a map that is empty is none."""
        return {path: item for path, item in leaves(self.values) if not isinstance(item, Map)}

    @cached_property
    def seed(self) -> Held:
        """The plan's seed; none where no step draws, so that it does not show."""
        return tuple(step.seed for step in self.lock.plan.steps if step.seed is not None)[:1]

    @cached_property
    def slices(self) -> Mapping[tuple[str, str], Value]:
        """What each step reads of each group of keys."""
        return {
            (step.name, group): value
            for step in self.lock.plan.steps
            for group, value in step.params.items()
        }

    def touched(self, base: Side) -> frozenset[tuple[str, str]]:
        """The slices that are not those of a base."""
        old, new = base.slices, self.slices
        return frozenset(at for at in {*old, *new} if not same(held(old, at), held(new, at)))

    def changes(self, base: Side) -> Changes:
        """The values that are not those of a base."""
        old, new = base.shown, self.shown
        found = {path: (held(old, path), held(new, path)) for path in sorted({*old, *new})}
        found[("seed",)] = (base.seed, self.seed)
        return {path: both for path, both in found.items() if not same(*both)}


def refusal(message: str, where: KeyPath = ()) -> Problem:
    """Why two locks are not merged."""
    return problem("merge", message, where)
