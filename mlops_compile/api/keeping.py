"""Looks after a project's store: what takes space, what is wrong, what may go, what must."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlops_compile.api.carrying import archive_of, carried_data
from mlops_compile.api.locations import contents_at, sources_of
from mlops_compile.api.locks import lock_of
from mlops_compile.api.roots import Kept, find_roots, lock_texts, reached_by, run_directories
from mlops_compile.api.running import LOGS
from mlops_compile.api.state import State
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.lock import Lock, decode, encode
from mlops_compile.ir.problem import CompileError, Problem, StoreError, UsageError, problem
from mlops_compile.ir.record import RECORD_FILE
from mlops_compile.steps.acquire import is_copied
from mlops_compile.store.collect import Collected, collect
from mlops_compile.store.faults import Progress
from mlops_compile.store.forget import Beside, Forgotten, forget
from mlops_compile.store.fsck import Checked, check
from mlops_compile.store.garbage import Limits
from mlops_compile.store.reach import Marks
from mlops_compile.store.usage import Usage, usage

_DAY = 86_400
_ROOM = "make room, or ask whom the store belongs to; what is stored stays whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What garbage collection did: by which roots (their names), and without which."""

    collected: Collected
    roots: tuple[str, ...]
    notes: tuple[str, ...]


def store_usage(state: State) -> Usage:
    """What takes the space of a store."""
    return usage(state.store, time.time())


def check_store(
    state: State, project: Path, progress: Progress, *, dry_run: bool = False
) -> Checked:
    """Check a store, and mend it unless `dry_run`. StoreError where it cannot be mended."""
    with _written(state, "`store fsck --dry-run` names what is wrong, and mends nothing"):
        return check(
            state.store,
            _is_lock,
            progress,
            mend=not dry_run,
            beside=_beside(state, project),
            copied=is_copied,
        )


def collect_garbage(
    state: State,
    project: Path,
    kept: Kept,
    *,
    budget: int | None = None,
    older_than: float | None = None,
    dry_run: bool = False,
) -> Collection:
    """Remove what no root reaches (see docs/keys-and-store.md).

    `budget` is in bytes, `older_than` in days. CompileError, and nothing is removed, where a root
    cannot be read, or where there is none and no limit either: that would be everything.
    """
    store = state.store
    roots = find_roots(store, project, kept)
    marks = roots.marks
    for _, lock in roots.locks:
        marks |= reached_by(lock, store)
    since = None if older_than is None else time.time() - older_than * _DAY

    def mark(text: str) -> Marks:
        return reached_by(decode(text, "the lock of a run that goes on"), store)

    limits = Limits(budget=budget, since=since)
    names = tuple(name for name, _ in roots.locks)
    stated = kept.roots or budget is not None or older_than is not None
    if not (names or dry_run or stated):
        would = collect(store, mark, marks, limits, dry_run=True)
        if would.actions and not would.live:
            raise CompileError([_nothing_to_keep(sum(count for _, count in would.actions))])
    with _written(state):
        collected = collect(store, mark, marks, limits, dry_run=dry_run)
    ours = {source.digest.sha256 for source in sources_of(project)}
    theirs = sorted({name for sha, name in collected.sources if sha not in ours})
    notes = (*roots.notes, *([_not_ours(theirs)] if theirs else []))
    return Collection(collected=collected, roots=names, notes=notes)


def _not_ours(names: Sequence[str]) -> str:
    """A store does not know the projects that use it."""
    return (
        f"among what goes are results from data that no lock of this project names"
        f" ({', '.join(names)}); another project that shares the store pins what it needs"
    )


def _nothing_to_keep(actions: int) -> Problem:
    message = f"no lock, pin or run says what to keep, so all {actions} results would go"
    keep = "write a lock with `mlops-compile compile`, or keep what run directories name"
    hint = f"{keep} (--keep-runs); --budget 0 removes everything"
    return problem("root", message, hint=hint)


def pin(state: State, name: str, lock: Lock) -> str:
    """Keep what a lock reaches, under a name; the text of the lock that had this name before, if
    any. UsageError for a name that cannot be."""
    before = state.store.pins.all().get(name, "")
    try:
        with _written(state):
            state.store.pins.put(name, encode(lock))
    except ValueError as error:
        raise UsageError([problem("usage", f"{name!r} cannot be a pin: {error}")]) from None
    return before


def unpin(state: State, name: str) -> None:
    """Take a pin away. UsageError where there is none of that name."""
    with _written(state):
        if state.store.pins.remove(name):
            return
    there = ", ".join(state.store.pins.all()) or "none"
    message = f"there is no pin {name!r}"
    raise UsageError([problem("usage", message, hint=f"there are: {there}")])


def forget_source(
    state: State, project: Path, what: str, reason: str, *, dry_run: bool = False
) -> tuple[Forgotten, tuple[Path, ...]]:
    """Remove a source and all that derives from it: what went, and the run directories and files of
    archived versions that still tell of it, which are the user's.

    `what` is a location of this project, or digits of a digest. CompileError where nothing is known
    of it, or where it may be a location of another project that shares the store.
    """
    when = datetime.now(UTC).isoformat(timespec="seconds")
    contents = frozenset(contents_at(project, what, state.store))
    with _written(state):
        found = forget(
            state.store,
            what,
            contents,
            _beside(state, project),
            reason=reason,
            when=when,
            dry_run=dry_run,
        )
    runs = tuple(place for place in run_directories(project) if _tells(place, found.names))
    archive = sorted(archive_of(state).glob("*.tar"))
    return found, (*runs, *(file for file in archive if {*carried_data(file)} & found.names))


def _beside(state: State, project: Path) -> Beside:
    locks = tuple(text for _, text in lock_texts(project))
    return Beside(cache=state.root / "cache", logs=state.root / LOGS, locks=locks)


def _tells(run: Path, names: frozenset[str]) -> bool:
    """Whether a run directory's documents tell of one of these digests."""
    texts = [run / LOCK_FILE, run / RECORD_FILE]
    told = "".join(file.read_text("utf-8", "replace") for file in texts if file.is_file())
    return any(word in names for word in told.split('"'))


def _is_lock(text: str) -> bool:
    try:
        lock_of(text, "the pin")
    except CompileError:
        return False
    return True


@contextmanager
def _written(state: State, hint: str = _ROOM) -> Iterator[None]:
    """Say in a sentence what an OSError of the store means."""
    try:
        yield
    except OSError as error:
        message = f"the store {state.store.root} cannot be written: {error.strerror or error}"
        raise StoreError([problem("store", message, ("store", "uri"), hint)]) from None
