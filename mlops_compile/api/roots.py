"""Roots of garbage collection: the locks whose results are to be kept, and where they stand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.git import files_at, has_git, local_refs
from mlops_compile.api.locks import lock_of, read_lock
from mlops_compile.api.running import read_run
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, Problem, StoreError
from mlops_compile.ir.record import RECORD_FILE
from mlops_compile.ir.version import Version
from mlops_compile.steps.kinds import needs_of
from mlops_compile.store.reach import Marks, reach
from mlops_compile.store.store import Store

_RUNS = ("outputs/*/*", "multirun/*/*/*")
_NO_GIT = "there is no git repository here, so no commit's lock is a root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is to be kept: which git refs (None: all local ones), which run directories, and whether
    all that are found; versions of the registry; and locks and digests besides."""

    refs: tuple[str, ...] | None = None
    runs: tuple[Path, ...] = ()
    all_runs: bool = False
    versions: tuple[Version, ...] = ()
    roots: tuple[Lock | Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """The locks to keep, by what they are called; what else to keep; and what to say of it."""

    locks: tuple[tuple[str, Lock], ...]
    marks: Marks
    notes: tuple[str, ...]


def find_roots(store: Store, project: Path, kept: Kept) -> Roots:
    """Every root but live runs. CompileError with all that cannot be read: what those would keep
    cannot be told."""
    notes: list[str] = []
    texts = [*_own(project), *_committed(project, kept, notes)]
    texts += [(f"the pin {name}", text) for name, text in store.pins.all().items()]
    problems: list[Problem] = []
    locks: list[tuple[str, Lock]] = []
    marks = Marks()
    for name, text in texts:
        try:
            locks.append((name, lock_of(text, name)))
        except CompileError as error:
            problems += error.problems
    found = run_directories(project) if kept.all_runs else ()
    ended, killed = _apart(found)
    for directory in (*kept.runs, *ended):
        try:
            record = read_run(directory)
        except CompileError as error:
            problems += error.problems
            continue
        locks.append((str(directory), record.lock))
        marks |= Marks(keys=frozenset(r.action for r in record.results if r.action))
    for directory in killed:
        try:
            locks.append((str(directory), read_lock(directory / LOCK_FILE)))
        except CompileError as error:
            problems += error.problems
        else:
            notes.append(f"{directory} has no record.json; what its lock needs is kept")
    for version in kept.versions:
        try:
            text = store.blobs.read(version.lock).read_text("utf-8")
            locks.append((str(version), lock_of(text, f"the lock of {version}")))
        except (CompileError, StoreError) as error:
            problems += error.problems
        marks |= Marks(blobs=frozenset({version.lock.sha256, version.record.sha256}))
        marks |= _tree(version.bundle, store)
    if problems:
        raise CompileError(problems)
    for root in kept.roots:
        if isinstance(root, Lock):
            locks.append((f"plan {root.digest[:12]}", root))
        else:
            marks |= _tree(root, store)
    return Roots(locks=tuple(locks), marks=marks, notes=tuple(notes))


def reached_by(lock: Lock, store: Store) -> Marks:
    """What a lock reaches, whatever version wrote it."""
    try:
        needs = needs_of(lock)
    except CompileError:  # kinds of another version: its steps are kept by what they are
        return reach(lock, None, store)
    return reach(lock, needs, store)


def run_directories(project: Path) -> Iterator[Path]:
    """The run directories of a project, where Hydra puts them."""
    for pattern in _RUNS:
        yield from (p for p in sorted(project.glob(pattern)) if (p / LOCK_FILE).is_file())


def lock_texts(project: Path) -> Iterator[tuple[str, str]]:
    """The texts of all locks of a project, by what they are called: its own, those of commits and
    those of run directories. What cannot be read is left out."""
    yield from _own(project)
    with contextlib.suppress(CompileError):
        yield from _committed(project, Kept(), [])
    for directory in run_directories(project):
        with contextlib.suppress(OSError):
            text = (directory / LOCK_FILE).read_bytes()
            yield str(directory), text.decode("utf-8", "replace")


def _apart(runs: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Directories of runs that ended, and of those that did not come to write their record."""
    found: tuple[list[Path], list[Path]] = ([], [])
    for directory in runs:
        found[0 if (directory / RECORD_FILE).is_file() else 1].append(directory)
    return found


def _own(project: Path) -> Iterator[tuple[str, str]]:
    file = project / LOCK_FILE
    if file.is_file():
        yield LOCK_FILE, file.read_bytes().decode("utf-8", "replace")


def _committed(project: Path, kept: Kept, notes: list[str]) -> Iterator[tuple[str, str]]:
    """The texts of the locks of commits, each once."""
    if kept.refs == ():  # none is asked for, whether or not there are any
        return
    if kept.refs is None and not has_git(project):
        notes.append(_NO_GIT)
        return
    refs = local_refs(project) if kept.refs is None else kept.refs
    names: dict[bytes, str] = {}
    for ref, data in files_at(project, refs, LOCK_FILE).items():
        if data is not None:
            names.setdefault(data, ref)
    for data, ref in names.items():
        yield f"{LOCK_FILE} at {ref}", data.decode("utf-8", "replace")


def _tree(digest: Digest, store: Store) -> Marks:
    """A blob, and its files where it is a tree."""
    try:
        parts = [part.sha256 for _, part in store.blobs.tree(digest)]
    except StoreError:  # no tree, or gone
        parts = []
    return Marks(blobs=frozenset({digest.sha256, *parts}))
