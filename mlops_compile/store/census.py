"""A census of a store: every blob and every action, in little memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlops_compile.ir.digest import Digest, is_sha256
from mlops_compile.ir.problem import StoreError
from mlops_compile.store.entry import Entry, entry_of, held
from mlops_compile.store.lineage import Lineage
from mlops_compile.store.store import Store

_LISTING = b"{"  # begins the text that lists a folder's files
_LONGEST = 1 << 26  # bytes of such a text


class Blob(NamedTuple):
    """A blob's file: its size in bytes, and what changes when it is written again."""

    size: int
    inode: int
    changed: int


@dataclass(frozen=True)
class Census:
    """What was in a store at one time. `locations` says where contents of sources were found,
    `unread` are the keys of records that cannot be read."""

    blobs: Mapping[str, Blob]
    entries: Mapping[str, Entry]
    locations: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...] = ()

    @cached_property
    def lineage(self) -> Lineage:
        """What derives from what."""
        return Lineage(self.entries)

    @cached_property
    def loose(self) -> frozenset[str]:
        """The blobs that no action holds: what a killed run had not recorded yet, copies of sources
        that no run has read, and what was of a record that is lost."""
        needed = {sha for entry in self.entries.values() for sha in held(entry)}
        return frozenset(self.blobs.keys() - needed)

    def data(self, key: str) -> str:
        """The data set that an action derives from, for people."""
        return self.named(self.lineage.origins(key))

    def named(self, sources: Iterable[str]) -> str:
        """Contents of sources, for people: where they were found, or their digests."""
        names = {name for source in sources for name in self.locations.get(source, (source[:12],))}
        return " + ".join(sorted(names)) or "unknown data"


def take_census(store: Store, *, settled: bool = False) -> Census:
    """Count what is in a store. `settled`: nothing that is committed meanwhile can be missed by
    those who compare a blob's file with its entry here; OSError where the store cannot be written.
    """
    blobs = dict(_blobs(store.root / "blobs"))
    if settled:
        # Who had named blobs before they were counted has named their records after this.
        with store.guard.alone():
            pass
    uses = store.index.uses()
    entries: dict[str, Entry] = {}
    locations: dict[str, set[str]] = {}
    unread: list[str] = []
    for key in store.records.every_key():
        action = store.records.read(key)
        if action is None:
            if look_at(store.records.place(key)) is not None:  # it did not just go
                unread.append(key)
            continue
        size = _size(store.records.place(key))
        entry = entry_of(key, action, size, max(uses.get(key, 0.0), action.made))
        entries[key] = entry
        location = action.about.get("location")
        if entry.source and isinstance(location, str):
            locations.setdefault(entry.source, set()).add(location)
    told = {digest: tuple(sorted(names)) for digest, names in locations.items()}
    return Census(blobs=blobs, entries=entries, locations=told, unread=tuple(unread))


def with_files(store: Store, sha: str) -> frozenset[str]:
    """A source's content and, where it is a folder that is whole in the store, its files."""
    parts: list[str] = []
    with contextlib.suppress(StoreError, OSError), store.blobs.place(sha).open("rb") as file:
        if file.read(1) == _LISTING:
            size = os.fstat(file.fileno()).st_size
            listed = store.blobs.tree(Digest(sha256=sha, size=size))
            parts += (part.sha256 for _, part in listed) if size <= _LONGEST else ()
    return frozenset({sha, *parts})


def look_at(place: Path) -> Blob | None:
    """What a blob's file is now; None if there is none."""
    try:
        stat = place.stat()
    except OSError:
        return None
    return Blob(stat.st_size, stat.st_ino, stat.st_ctime_ns)


def _blobs(root: Path) -> Iterator[tuple[str, Blob]]:
    for directory in sorted(root.glob("??")):
        with contextlib.suppress(OSError), os.scandir(directory) as items:
            for item in items:
                if is_sha256(item.name) and (blob := look_at(Path(item.path))) is not None:
                    yield item.name, blob


def _size(place: Path) -> int:
    found = look_at(place)
    return found.size if found is not None else 0
