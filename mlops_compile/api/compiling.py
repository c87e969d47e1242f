"""Config to lock: the compiler's passes, wired to a project; and what a lock would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.state import LATEST, State, state_of
from mlops_compile.compiler.check import check_further
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.effects import Effect, effects
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.read import whole
from mlops_compile.compiler.sources import pin_source
from mlops_compile.compiler.spec import PLACES, Spec
from mlops_compile.execute.environment import installed_version
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, violations
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import Map
from mlops_compile.steps.kinds import needs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Every intermediate value of a compilation."""

    config: Config
    spec: Spec
    plan: Plan
    lock: Lock
    state: State


def compile(overrides: Sequence[str] = (), *, project: str | Path = ".") -> Lock:
    """The lock of a project's config with these overrides (Hydra's grammar).

    CompileError carries every problem found. Nothing is written but the cache.
    """
    return compile_config(compose(overrides_of(overrides), Path(project)), Path(project)).lock


def overrides_of(given: Sequence[str]) -> tuple[str, ...]:
    """Overrides as they are given; CompileError for one text, which is a sequence of letters."""
    if isinstance(given, str):
        message = "overrides are a list of texts, and this is one text"
        raise CompileError([problem("override", message, hint=f"write [{given!r}]")])
    return tuple(given)


def compile_config(
    config: Config, project: Path, *, refresh: bool = False, committed: Lock | None = None
) -> Compilation:
    """Every pass over a composed config.

    `refresh` looks at sources again; the pins of `committed` stand where the data is not here.
    """
    with located(config.composition):
        spec, problems = check_further(config)
        state, pinned = _pinned(spec, problems, config, project, refresh, committed)
        plan = lower(spec)
        if found := violations(plan):
            raise CompileError(found)
        lock = pin(spec, plan, pinned, needed_version)
    return Compilation(config=config, spec=spec, plan=plan, lock=lock, state=state)


def _pinned(
    spec: Spec,
    problems: tuple[Problem, ...],
    config: Config,
    project: Path,
    refresh: bool,
    committed: Lock | None,
) -> tuple[State, Pinned]:
    """The project's state, and the source that is kept there. CompileError with the config's
    problems and, where the config is whole enough to look at the data, those that the data shows.
    """
    if any(found.where and found.where[0] in PLACES for found in problems):
        raise CompileError(problems)
    state, data = state_of(config, project), spec.data
    if problems and not whole((data.source, data.columns, data.target, data.task)):
        raise CompileError(problems)
    try:
        state.made()
        pinned = pin_source(data, state.cache, committed, project, refresh=refresh)
    except CompileError as error:
        hidden = any(column.sensitive for _, column in data.columns)
        found = [item.without_values() if hidden else item for item in error.problems]
        raise CompileError([*problems, *found]) from None
    told = [found.where for found in problems]
    found = [
        item
        for item in data_problems(spec, pinned)
        if not any(where[: len(item.where)] == item.where for where in told)
    ]
    if problems or found:
        raise CompileError([*problems, *found])
    return state, pinned


def needed_version(name: str) -> str:
    """The installed version of a distribution; CompileError if it is not installed."""
    version = installed_version(name)
    if version is None:
        message = f"the plan needs the distribution {name}, which is not installed"
        hint = f"python -m pip install {name}"
        raise CompileError([problem("environment", message, hint=hint)])
    return version


def effects_of(lock: Lock, state: State) -> tuple[Effect, ...]:
    """What running a lock would do with each step, and why."""
    store, latest = state.store, state.cache.get(LATEST)
    before = latest if isinstance(latest, Map) else Map()
    needs, here = needs_of(lock), this_platform()
    try:
        return effects(lock, needs, here, store.outputs, store.nearest, before)
    finally:
        store.close()
