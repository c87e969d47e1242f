"""Config to lock: the compiler's passes, wired to a project; and what a lock would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.state import State, state_of
from mlops_compile.compiler.check import check
from mlops_compile.compiler.compose import compose
from mlops_compile.compiler.effects import Effect, effects
from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.sources import pin_source
from mlops_compile.compiler.spec import Spec
from mlops_compile.execute.environment import installed_version
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, violations
from mlops_compile.ir.problem import CompileError, Problem, problem, with_origins
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
    return compile_config(compose(tuple(overrides), Path(project)), Path(project)).lock


@contextmanager
def located(config: Config) -> Iterator[None]:
    """Problems raised inside get the file and line, or the override, that set their key."""
    try:
        yield
    except CompileError as error:
        raise CompileError(places_of(error.problems, config)) from None


def places_of(problems: tuple[Problem, ...], config: Config) -> tuple[Problem, ...]:
    """Problems with the file and line, or the override, that set their key."""
    from mlops_compile.compiler.compose_origins import origins  # only on the way to an error

    return with_origins(problems, origins(config.composition))


def compile_config(
    config: Config, project: Path, *, refresh: bool = False, committed: Lock | None = None
) -> Compilation:
    """Every pass over a composed config.

    `refresh` looks at sources again; the pins of `committed` stand where the data is not here.
    """
    with located(config):
        spec = check(config)
        plan = lower(spec)
        if found := violations(plan):
            raise CompileError(found)
        state = state_of(config, project)
        lock = pin(
            spec,
            plan,
            lambda data: pin_source(data, state.cache, committed, project, refresh=refresh),
            needed_version,
        )
    return Compilation(config=config, spec=spec, plan=plan, lock=lock, state=state)


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
    cache, store = state.cache, state.store
    return effects(
        lock,
        needs_of(lock),
        this_platform(),
        store.outputs,
        lambda name: cache.get(f"latest-{name}"),
    )
