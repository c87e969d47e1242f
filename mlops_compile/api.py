"""What `import mlops_compile` offers, and what the command line calls: the stages, wired.

import mlops_compile as mc
lock = mc.compile(["model=lightgbm", "model.params.num_leaves=63"])
record = mc.run(lock)
record.metrics["test"]
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.compiler.check import check, check_places
from mlops_compile.compiler.compose import compose
from mlops_compile.compiler.effects import Effect, effects
from mlops_compile.compiler.lower import lower
from mlops_compile.compiler.pin import pin
from mlops_compile.compiler.project import in_the_way, project_files
from mlops_compile.compiler.sources import pin_source
from mlops_compile.compiler.spec import Spec
from mlops_compile.execute.local import execute
from mlops_compile.execute.observer import Observer, Silent
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.config import Config
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import plan_preimages
from mlops_compile.ir.lock import Lock, decode, encode
from mlops_compile.ir.plan import Plan, violations
from mlops_compile.ir.problem import CompileError, ProblemsError, StepError, problem, with_origins
from mlops_compile.ir.proposal import Proposal
from mlops_compile.ir.record import RunRecord, decode_record, encode_record
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import pick, pretty
from mlops_compile.steps.kinds import needs_of
from mlops_compile.store.blobs import MissingBlob, tree_digest
from mlops_compile.store.cache import FileCache
from mlops_compile.store.files import copy_tree, write_atomic
from mlops_compile.store.store import Store

LOCK_FILE = "plan.lock.json"
BUNDLE_DIRECTORY = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a project keeps what it knows: results in `store/`, what can be lost in `cache/`."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def cache(self) -> FileCache:
        return FileCache(self.root / "cache")


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


def run(
    lock: Lock | Sequence[str] = (),
    *,
    project: str | Path = ".",
    observer: Observer | None = None,
    threads: int | None = None,
) -> RunRecord:
    """Execute a lock (or overrides, compiled first); what is made already is not made again.

    Raises StepError (its `record` holds what was made) when a step fails.
    """
    if not isinstance(lock, Lock):
        lock = compile(lock, project=project)
    state = default_state(Path(project))
    record = execute_lock(lock, state, Path(project), observer or Silent(), threads)
    if not record.ok:
        raise failure(record)
    return record


def failure(record: RunRecord) -> ProblemsError:
    """The error of a run that did not end well, with all problems of its steps."""
    problems = [item for result in record.results for item in result.problems]
    error = RunFailed(problems or [problem("failed", "a step failed")])
    error.record = record
    error.exit_code = max(result.exit_code for result in record.results)
    return error


class RunFailed(StepError):
    """Steps failed; `record` holds what was made all the same."""

    record: RunRecord


def default_state(project: Path) -> State:
    """The state that the project's config names."""
    return state_of(compose((), project), project)


def state_of(config: Config, project: Path) -> State:
    """The state that a config names (`store.uri`)."""
    store, _ = check_places(config)
    return State(root=project / store.uri)


@contextmanager
def located(config: Config) -> Iterator[None]:
    """Problems raised inside get the file and line that set their key."""
    try:
        yield
    except CompileError as error:
        from mlops_compile.compiler.compose_origins import origins  # only on the way to an error

        raise CompileError(with_origins(error.problems, origins(config.composition))) from None


def compile_config(config: Config, project: Path, *, refresh: bool = False) -> Compilation:
    """Every pass over a composed config. `refresh` looks at sources again."""
    with located(config):
        spec = check(config)
        plan = lower(spec)
        if found := violations(plan):
            raise CompileError(found)
        state = state_of(config, project)
        committed = _committed(project)
        lock = pin(
            spec,
            plan,
            lambda data: pin_source(data, state.cache, committed, project, refresh=refresh),
            installed_version,
        )
    return Compilation(config=config, spec=spec, plan=plan, lock=lock, state=state)


def _committed(project: Path) -> Lock | None:
    try:
        return read_lock(project / LOCK_FILE)
    except CompileError:
        return None


def installed_version(name: str) -> str:
    """The installed version of a distribution; CompileError if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        message = f"the plan needs the distribution {name}, which is not installed"
        hint = f"python -m pip install {name}"
        raise CompileError([problem("environment", message, hint=hint)]) from None


def read_lock(file: Path) -> Lock:
    """The lock of a file; CompileError if there is none or if it is broken."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        hint = "write it with `mlops-compile compile`"
        raise CompileError([problem("no-lock", f"there is no lock {file}", hint=hint)]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CompileError([problem("lock", f"{file} cannot be read: {error}")]) from None
    return decode(text, str(file))


def write_lock(lock: Lock, file: Path) -> bool:
    """Write a lock; whether the file's bytes changed."""
    data = encode(lock).encode("utf-8")
    try:
        if file.is_file() and file.read_bytes() == data:
            return False
        write_atomic(file, data)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return True


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


def execute_lock(
    lock: Lock, state: State, project: Path, observer: Observer, threads: int | None = None
) -> RunRecord:
    """Execute exactly a lock. CompileError where what is installed is not what it names."""
    _check_environment(lock)

    def locate(source: Source) -> Path:
        return project / source.location

    cores = threads or len(os.sched_getaffinity(0))
    record = execute(lock, state.store, locate, observer, cores)
    for name, preimage in plan_preimages(lock, needs_of(lock)).items():
        if record[name].status in ("ran", "hit"):
            state.cache.put(f"latest-{name}", preimage)
    return record


def _check_environment(lock: Lock) -> None:
    found = []
    for name, version in lock.environment:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "not installed"
        if installed != version:
            message = f"the lock names {name} {version}; here it is {installed}"
            hint = f"python -m pip install {name}=={version}, or compile again"
            found.append(problem("environment", message, ("environment", name), hint))
    if found:
        raise CompileError(found)


def write_run(record: RunRecord, state: State, directory: Path) -> Path | None:
    """Write a run's documents, and its bundle if there is one, into its directory.

    Gives the bundle's directory. MissingBlob if the bundle was damaged in the store: it is made
    anew by the next run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / LOCK_FILE, encode(record.lock).encode("utf-8"))
    write_atomic(directory / "metrics.json", pretty(record.metrics).encode("utf-8"))
    bundle = None
    for result in record.results:
        if result.kind == "package" and "bundle" in dict(result.outputs):
            bundle = directory / BUNDLE_DIRECTORY
            state.store.blobs.checkout(result.output("bundle"), bundle)
    write_atomic(directory / "record.json", encode_record(record).encode("utf-8"))
    return bundle


def run_and_write(
    lock: Lock,
    state: State,
    project: Path,
    directory: Path,
    observer: Observer,
    threads: int | None = None,
) -> tuple[RunRecord, Path | None]:
    """Execute a lock into a run directory; a damaged result is made anew once."""
    record = execute_lock(lock, state, project, observer, threads)
    try:
        return record, write_run(record, state, directory)
    except MissingBlob:
        record = execute_lock(lock, state, project, observer, threads)
        return record, write_run(record, state, directory)


def read_run(directory: Path) -> RunRecord:
    """The record of a run directory; CompileError if it is none."""
    file = directory / "record.json"
    if not file.is_file():
        message = f"{directory} is not a run directory: it has no record.json"
        raise CompileError([problem("no-run", message)])
    lock = read_lock(directory / LOCK_FILE)
    return decode_record(file.read_text("utf-8"), lock, str(file))


def init(
    directory: Path, data: Path, target: str, columns: tuple[str, ...] = ()
) -> tuple[Proposal, tuple[str, ...]]:
    """Write a new project around a data file: what was assumed, and the files written.

    CompileError where the file cannot serve, or where a file of the project is there already.
    """
    from mlops_compile.steps.look import look  # pandas: only where data is looked at

    proposal = look(data, target, columns)
    name = _project_name(data)
    location = os.path.relpath(data.resolve(), directory.resolve())
    files = project_files(name, location, proposal)
    if found := in_the_way(directory, files):
        raise CompileError(found)
    try:
        for path, text in files.items():
            write_atomic(directory / path, text.encode("utf-8"))
    except OSError as error:
        message = f"{directory} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return proposal, tuple(files)


def _project_name(data: Path) -> str:
    stem = data.name.split(".")[0]
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in stem).strip("_")
    return name.lower() or "data"


def state_with(overrides: Sequence[str], project: Path = Path()) -> State:
    """The state of a project whose config has these overrides."""
    return state_of(compose(tuple(overrides), project), project)


def checkout_bundle(model: str, state: State, directory: Path) -> str:
    """Write the bundle of a model (a run directory, or the digest of a model or bundle, at least 8
    digits) into a directory; its digest. CompileError where there is none."""
    digest = find_bundle(model, state)
    blobs, own = state.store.blobs, Path(model) / BUNDLE_DIRECTORY
    if not blobs.has(digest) and own.is_dir() and tree_digest(own) == digest:
        copy_tree(own, directory)
    else:
        blobs.checkout(digest, directory)
    return digest.sha256


def bundle_to_serve(model: str, state: State) -> Path:
    """A verified directory of a model's bundle, below the state's cache."""
    directory = state.root / "cache" / "bundles" / find_bundle(model, state).sha256
    checkout_bundle(model, state, directory)
    return directory


def find_bundle(model: str, state: State) -> Digest:
    """The digest of a model's bundle. CompileError where there is none, or more than one."""
    if (Path(model) / "record.json").is_file():
        record = read_run(Path(model))
        found = {r.output("bundle") for r in record.results if r.kind == "package" and r.outputs}
    else:
        found = {
            digest
            for action in state.store.actions.of_kind("package")
            for _, digest in action.outputs
            if _names(model, digest.sha256, str(pick(action.preimage, ("inputs", "model"))))
        }
    if len(found) == 1:
        return next(iter(found))
    what = f"{len(found)} bundles of" if found else "no bundle of"
    hint = "give a run directory, or the `bundle` or `model` digest that `run --json` prints"
    raise CompileError([problem("no-model", f"there is {what} {model!r} here", hint=hint)])


def _names(text: str, *digests: str) -> bool:
    return len(text) >= 8 and any(digest.startswith(text) for digest in digests)
