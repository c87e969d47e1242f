"""Many configs to one plan: compiles the points of a sweep, and says what running them would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.api.compiling import Compilation, compile_config, effects_of
from mlops_compile.api.searching import search_step
from mlops_compile.api.state import LATEST, State
from mlops_compile.compiler.effects import Effect, sweep_effects
from mlops_compile.execute.expected import work_of
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.config import Config
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.merging import Merged, Part, merge, plan_keys
from mlops_compile.ir.plan import Step, own_name
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.sweep import Sweep, SweepPoint
from mlops_compile.ir.value import Map, canonical
from mlops_compile.steps.kinds import asked_of, kind_of, needs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptPoint:
    """A point of a multirun: its config, with the lock or what is wrong with it."""

    config: Config
    lock: Lock | None
    error: CompileError | None = None

    @property
    def overrides(self) -> tuple[str, ...]:
        return self.config.composition.overrides


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The distinct points of a multirun in order, and those that compile as one plan. `jobs` holds
    the number of the job that each point was asked by first.

    `together` are those of them that run at once; those with a search, whose numbers are in
    `alone`, run by themselves.
    """

    points: tuple[SweptPoint, ...]
    jobs: tuple[int, ...]
    merged: Merged | None
    together: Merged | None
    alone: frozenset[int]
    state: State | None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with points, each problem once."""
        errors = (point.error for point in self.points)
        return tuple(dict.fromkeys(item for error in errors if error for item in error.problems))

    @property
    def searches(self) -> dict[int, Lock]:
        """The locks of the points with a search, by their number."""
        locks = {number: self.points[number].lock for number in self.alone}
        return {number: lock for number, lock in locks.items() if lock is not None}

    @property
    def sweep(self) -> Sweep:
        """The points that compile."""
        return Sweep(
            points=tuple(
                SweepPoint(overrides=point.overrides, lock=point.lock)
                for point in self.points
                if point.lock is not None
            )
        )


def compile_points(
    configs: Sequence[Config],
    project: Path,
    *,
    refresh: bool = False,
    committed: Lock | None = None,
) -> Swept:
    """Every pass over the configs of a multirun; what they have in common is done once. Points that
    come to the same lock are one."""
    memo = Memo()
    points: list[SweptPoint] = []
    jobs: list[int] = []
    parts: list[Part] = []
    state: State | None = None
    seen: set[object] = set()
    for job, config in enumerate(configs):
        done = _compiled(config, project, refresh, committed, memo)
        if isinstance(done, CompileError):
            points.append(SweptPoint(config=config, lock=None, error=done))
            jobs.append(job)
            continue
        state, lock = state or done.state, done.lock
        keys = plan_keys(lock, _needs, memo)
        where = memo.of("where", (lock.sources,), lambda lock=lock: _where(lock))  # type: ignore[misc]
        identity = (tuple(keys.items()), where)
        if identity in seen:
            continue
        seen.add(identity)
        parts.append(Part(number=len(points), lock=lock, keys=keys))
        points.append(SweptPoint(config=config, lock=lock))
        jobs.append(job)
    merged = merge(parts) if parts else None
    alone = frozenset(part.number for part in parts if search_step(part.lock))
    plain = [part for part in parts if part.number not in alone]
    return Swept(
        points=tuple(points),
        jobs=tuple(jobs),
        merged=merged,
        together=merge(plain) if alone and plain else None if alone else merged,
        alone=alone,
        state=state,
    )


def _compiled(
    config: Config, project: Path, refresh: bool, committed: Lock | None, memo: Memo
) -> Compilation | CompileError:
    try:
        return compile_config(config, project, refresh=refresh, committed=committed, memo=memo)
    except CompileError as error:
        return error


def _needs(step: Step) -> Needs:
    return kind_of(step.kind).needs(step.params)


def _where(lock: Lock) -> tuple[bytes, ...]:
    """Where the sources of a lock are: it is part of the lock, and of no key."""
    return tuple(canonical(source.to_dict()) for _, source in lock.sources)


def merge_sweep(sweep: Sweep) -> Merged:
    """The one plan of a sweep that was read, whatever versions of step kinds it has."""
    memo = Memo()
    versions = {name for point in sweep.points for name, _ in point.lock.environment}
    called = {one.name for point in sweep.points for one in point.lock.code.functions}

    def needs(step: Step) -> Needs:
        asked = asked_of(step) or Needs(contract=True)
        return replace(
            asked,
            distributions=tuple(name for name in asked.distributions if name in versions),
            functions=tuple(name for name in asked.functions if name in called),
        )

    return merge(
        [
            Part(number=number, lock=point.lock, keys=plan_keys(point.lock, needs, memo))
            for number, point in enumerate(sweep.points)
        ]
    )


def effects_of_sweep(
    merged: Merged, state: State, searches: Mapping[int, Lock]
) -> tuple[Effect, ...]:
    """What running a sweep would do with each distinct step, and why. `searches` are the points
    with a search, by their number: what is behind that is what it chose."""
    found = _effects_of_steps(merged, state)
    behind = {
        merged.names[number][effect.step.name]: effect
        for number, lock in searches.items()
        for effect in effects_of(lock, state)
        if effect.step.name in merged.names[number]
    }
    return tuple(
        replace(behind.get(own.step.name, own), step=own.step, key=own.key) for own in found
    )


def _effects_of_steps(merged: Merged, state: State) -> tuple[Effect, ...]:
    store, latest = state.store, state.cache.get(LATEST)
    before = latest if isinstance(latest, Map) else Map()
    try:
        return sweep_effects(
            merged.lock, needs_of(merged.lock), merged.keys, this_platform(), store.outputs, before
        )
    finally:
        store.close()


def expected_work(found: Sequence[Effect], state: State) -> tuple[float | None, float | None]:
    """The seconds of work of the steps that run, and of those with the steps that may, as earlier
    runs needed; None where no earlier run tells of one of them."""
    store = state.store
    try:
        durations = store.durations({(item.step.kind, own_name(item.step.name)) for item in found})
    finally:
        store.close()
    least = work_of((item.step for item in found if item.effect == "run"), durations)
    return least, work_of((item.step for item in found if item.effect != "hit"), durations)
