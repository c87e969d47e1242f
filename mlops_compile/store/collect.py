"""Garbage collection: what no root reaches goes, the longest unused first, beside live runs."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlops_compile.store.census import Census, look_at, take_census
from mlops_compile.store.entry import Entry, entry_of, held
from mlops_compile.store.files import sync_directory
from mlops_compile.store.garbage import Garbage, Limits, garbage, reached, release
from mlops_compile.store.reach import Marks
from mlops_compile.store.store import Store

T = TypeVar("T")
_BATCH = 500
_ORPHANS = 5000

# What the text of a lock reaches.
Marking = Callable[[str], Marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What went, or would go: actions by kind, blobs, and bytes on disk; and what stays. `sources`
    are those whose readings went, by digest and location."""

    actions: tuple[tuple[str, int], ...]
    blobs: int
    size: int
    kept_actions: int
    kept_size: int
    live: int
    sources: tuple[tuple[str, str], ...]


def collect(
    store: Store, mark: Marking, marks: Marks, limits: Limits, *, dry_run: bool = False
) -> Collected:
    """Remove the garbage of a store.

    `marks` are those of all roots but live runs, whose locks `mark` marks. Runs may begin and end
    meanwhile: what they use stays. OSError where the store cannot be written.
    """
    live = _Live(store, mark)
    census = take_census(store, settled=not dry_run)
    found = garbage(census, marks | live.marks(), limits)
    if dry_run:
        gone = [entry.key for entry in found.actions]
        blobs = [*_all_released(census, found), *found.orphans]
        return _told(census, gone, blobs, live)
    remover = _Remover(store, census, found, live)
    store.rooms.sweep()
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(store.root / "quarantine")
    for batch in _batches(found.actions, _BATCH):
        with store.guard.alone():
            remover.remove_actions(batch)
    for orphans in _batches(found.orphans, _ORPHANS):
        with store.guard.alone():
            remover.remove_blobs(orphans)
    return _told(census, remover.gone, remover.blobs, live)


class _Live:
    """What live runs reach; each lock is read once."""

    def __init__(self, store: Store, mark: Marking) -> None:
        self._store = store
        self._mark = mark
        self.runs = 0

    def marks(self) -> Marks:
        """What those that go on now reach. A run adds to what it reaches, so that it is looked at
        anew each time."""
        found = Marks()
        locks = [run.lock for run in self._store.rooms.live() if run.lock]
        self.runs = max(self.runs, len(locks))
        for lock in locks:
            found |= self._mark(lock)
        return found


class _Remover:
    """Removes batch by batch, while nobody else is inside of the store."""

    def __init__(self, store: Store, census: Census, found: Garbage, live: _Live) -> None:
        self._store = store
        self._census = census
        self._counts = found.stays + Counter(sha for e in found.actions for sha in held(e))
        self._live = live
        self._support = found.support
        self._staying: set[str] = set()
        self._seen = {*census.entries}
        self.gone: list[str] = []
        self.blobs: list[str] = []

    def remove_actions(self, batch: Sequence[Entry]) -> None:
        """Remove actions, and the blobs that nobody else holds: row, record, blobs, in this
        order, so that a kill in between leaves no record without its blobs."""
        marks = self._live.marks()
        self._notice_new()
        going = []
        for entry in batch:  # behind all that it stays for
            if self._stays(entry, marks):
                self._staying.update((entry.key, *self._support[entry.key]))
            else:
                going.append(entry)
        self._store.index.drop([entry.key for entry in going])
        _remove([self._store.records.place(entry.key) for entry in going])
        self.gone += [entry.key for entry in going]
        released = [sha for e in going for sha in release(e, self._counts, self._census)]
        self._remove(released, marks)

    def remove_blobs(self, blobs: Sequence[str]) -> None:
        """Remove blobs that are of no action."""
        self._notice_new()
        self._remove([sha for sha in blobs if self._counts[sha] <= 0], self._live.marks())

    def _remove(self, blobs: Sequence[str], marks: Marks) -> None:
        going = [sha for sha in blobs if sha not in marks.blobs and self._same(sha)]
        _remove([self._store.blobs.place(sha) for sha in going])
        self.blobs += going

    def _stays(self, entry: Entry, marks: Marks) -> bool:
        """Whether an action has come into use since the census, by itself or for another."""
        if entry.key in self._staying or reached(entry, marks, self._census):
            return True
        return not all(self._same(sha) for sha in entry.blobs if sha in self._census.blobs)

    def _notice_new(self) -> None:
        """What runs have recorded since the census needs its blobs, and those that made what it was
        made of, though such a run may have ended."""
        for key in [key for key in self._store.records.every_key() if key not in self._seen]:
            self._seen.add(key)
            if (action := self._store.records.read(key)) is not None:
                new = entry_of(key, action)
                self._counts.update(held(new))
                for digest in new.inputs:
                    self._staying.update(self._census.lineage.makers.get(digest, ()))

    def _same(self, sha: str) -> bool:
        """Whether a blob was not written again since the census: nobody else needs it then, since
        whoever commits writes all blobs of an action."""
        return look_at(self._store.blobs.place(sha)) == self._census.blobs[sha]


def _remove(places: Sequence[Path]) -> None:
    """Remove files, durably."""
    for place in places:
        place.unlink(missing_ok=True)
    for directory in sorted({place.parent for place in places}):
        if directory.is_dir():
            sync_directory(directory)


def _all_released(census: Census, found: Garbage) -> Iterator[str]:
    for sha in {sha for entry in found.actions for sha in held(entry)}:
        if found.stays[sha] <= 0 and sha in census.blobs:
            yield sha


def _told(census: Census, gone: Sequence[str], blobs: Sequence[str], live: _Live) -> Collected:
    kinds = Counter(census.entries[key].kind for key in gone)
    records = sum(census.entries[key].size for key in gone)
    size = records + sum(census.blobs[sha].size for sha in blobs)
    read = {census.entries[key].source for key in gone} - {""}
    total = sum(blob.size for blob in census.blobs.values())
    total += sum(entry.size for entry in census.entries.values())
    return Collected(
        actions=tuple(sorted(kinds.items())),
        blobs=len(blobs),
        size=size,
        kept_actions=len(census.entries) - len(gone),
        kept_size=total - size,
        live=live.runs,
        sources=tuple((sha, census.named([sha])) for sha in sorted(read)),
    )


def _batches(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), count):
        yield items[start : start + count]
