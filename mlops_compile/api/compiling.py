"""Config to lock: the compiler's passes, wired to a project; and what a lock would do."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlops_compile.api.searching import search_effects, search_step
from mlops_compile.api.state import LATEST, State, state_of
from mlops_compile.compiler.check import check_further, check_variants
from mlops_compile.compiler.code import pin_code
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.effects import Effect, effects
from mlops_compile.compiler.explain import Earlier
from mlops_compile.compiler.fitting import data_problems
from mlops_compile.compiler.locking import locked, searched
from mlops_compile.compiler.lower import lower, others_of
from mlops_compile.compiler.read import whole
from mlops_compile.compiler.sources import Looking, pin_sources
from mlops_compile.compiler.spec import PLACES, Data, Spec
from mlops_compile.execute.environment import installed_version
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.code import Code
from mlops_compile.ir.config import Config
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.problem import CompileError, Problem, StoreError, problem
from mlops_compile.ir.source import Pinned
from mlops_compile.ir.value import Map
from mlops_compile.steps.kinds import needs_of
from mlops_compile.steps.sources.kind import SOURCE_KEYS
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store


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
    config: Config,
    project: Path,
    *,
    refresh: bool = False,
    committed: Lock | None = None,
    memo: Memo | None = None,
    unseen: Callable[[Plan], None] | None = None,
    inside: bool = False,
    assumed: Callable[[str], None] = lambda name: None,
) -> Compilation:
    """Every pass over a composed config.

    `refresh` looks at sources again; the pins of `committed` stand where the data is not here.
    Compilations of one memo share their work, and see each source as it was seen first. `unseen` is
    called with the plan before data is read that was never looked at, which takes a while.
    `inside` and `assumed` are those of `Looking`.
    """
    shared = memo or Memo()
    with located(config.composition):
        spec, problems = check_further(config, shared)
        variants, more = check_variants(config, problems)
        problems = tuple(dict.fromkeys((*problems, *more)))

        def first_seen() -> None:
            if unseen is not None and not problems:
                unseen(lower(spec, stated=searched(config, spec)))

        look = partial(
            _look,
            project=project,
            refresh=refresh,
            committed=committed,
            unseen=first_seen,
            inside=inside,
            assumed=assumed,
        )
        state, pinned, code = _pinned(spec, problems, config, project, look, shared)
        lock = locked(config, spec, variants, pinned, needed_version, code, shared)
    return Compilation(config=config, spec=spec, plan=lock.plan, lock=lock, state=state)


def _pinned(
    spec: Spec,
    problems: tuple[Problem, ...],
    config: Config,
    project: Path,
    look: Callable[[Data, State], Pinned],
    memo: Memo,
) -> tuple[State, Pinned, Code]:
    """The project's state, the source that is kept there, and the user's functions. CompileError
    with the config's problems, those of the functions and, where the config is whole enough to look
    at the data, those that the data shows.
    """
    if any(found.where and found.where[0] in PLACES for found in problems):
        raise CompileError(problems)
    places = tuple(config.values.get(name) for name in PLACES)
    state, data = memo.of("state", places, lambda: state_of(config, project)), spec.data
    code, wrong = memo.of("code", (spec.prepare, spec.code), lambda: pin_code(spec, project))
    problems = (*problems, *wrong)
    is_whole = memo.of("whole", (data,), lambda: whole(data))
    keys = [SOURCE_KEYS, *others_of(data).values()] if is_whole else [SOURCE_KEYS]
    if any(
        found.code == "secret" or any(found.where[: len(where)] == where for where in keys)
        for found in problems
    ):
        raise CompileError(problems)  # nobody is asked for data at a wrong address
    needed = (data.source, data.test, data.join, data.columns, data.target, data.task)
    if problems and not whole(needed):
        raise CompileError(problems)
    try:
        pinned = memo.of("pinned", (data, state), lambda: look(data, state))
    except CompileError as error:
        hidden = any(column.sensitive for _, column in data.columns)
        found = [item.without_values() if hidden else item for item in error.problems]
        raise CompileError(dict.fromkeys([*problems, *found])) from None
    told = [found.where for found in problems]
    found = [
        item
        for item in data_problems(spec, pinned, memo)
        if not any(where[: len(item.where)] == item.where for where in told)
    ]
    if problems or found:
        raise CompileError([*problems, *found])
    return state, pinned, code


def _look(
    data: Data,
    state: State,
    *,
    project: Path,
    refresh: bool,
    committed: Lock | None,
    unseen: Callable[[], None],
    inside: bool,
    assumed: Callable[[str], None],
) -> Pinned:
    """The sources of a config, as they are now."""
    state.made()
    store = state.store
    looking = Looking(
        cache=state.cache,
        project=project,
        keeping=Kept(store),
        room=lambda: _room(store),
        committed=committed,
        refresh=refresh,
        unseen=unseen,
        inside=inside,
        assumed=assumed,
    )
    return pin_sources(data, looking)


class Kept:
    """Files that a source gives once, kept in the store: a run finds them there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, file: Path, digest: Digest) -> None:
        """Copy a file into the store; one that cannot be written keeps nothing."""
        with contextlib.suppress(OSError, StoreError), self._store.scratch() as room:
            self._store.blobs.import_file(file, room / "copy", digest)

    def kept(self, digest: Digest) -> Path | None:
        """The verified copy, if there is one."""
        try:
            return self._store.blobs.read(digest)
        except MissingBlob:
            return None


@contextmanager
def _room(store: Store) -> Iterator[Path]:
    """Where files of sources are brought to: the store's scratch space, which is swept where a kill
    leaves them; the system's where the store cannot be written. Compiling makes no store: one that
    was not there is gone again."""
    with ExitStack() as stack:
        if not store.root.exists():
            stack.callback(store.remove_empty)
        try:
            room = stack.enter_context(store.scratch())
        except StoreError:
            made = tempfile.TemporaryDirectory(prefix="mlops-")
            room = Path(stack.enter_context(made))
        yield room


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
    here = this_platform()

    def judged(lock: Lock, nearest: Callable[[str, str], Sequence[Earlier]]) -> tuple[Effect, ...]:
        return effects(lock, needs_of(lock), here, store.outputs, nearest, before)

    try:
        found = judged(lock, store.nearest)
        if search_step(lock) is None:
            return found
        return search_effects(lock, store, found, lambda other: judged(other, lambda *_: ()))
    finally:
        store.close()
