"""A census of a store: every blob and every action, in little memory, and who derives from whom."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlops_compile.ir.digest import is_sha256
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.reach import shape_of
from mlops_compile.store.store import Store


class Blob(NamedTuple):
    """A blob's file: its size in bytes, and what changes when it is written again."""

    size: int
    inode: int
    changed: int


class Entry(NamedTuple):
    """An action, by digests: what it was made of and what it made.

    `source` is the content that it read (empty for most), `parts` its files where it is a folder,
    `sources` all contents that it is known to derive from. `size` is that of its record in bytes,
    `used` the Unix time of its last use.
    """

    key: str
    kind: str
    step: str
    plan: str
    shape: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blobs: tuple[str, ...]
    source: str
    sources: tuple[str, ...]
    size: int
    used: float
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Census:
    """What was in a store at one time. `locations` says where contents of sources were found."""

    blobs: Mapping[str, Blob]
    entries: Mapping[str, Entry]
    locations: Mapping[str, tuple[str, ...]]

    @cached_property
    def takers(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of the actions that take a digest as input."""
        return _by(self.entries.values(), lambda entry: entry.inputs)

    @cached_property
    def makers(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of the actions that make a digest as output."""
        return _by(self.entries.values(), lambda entry: entry.outputs)

    def derived(self, sources: Iterable[str]) -> frozenset[str]:
        """The keys of all actions that derive from contents of sources, at any distance."""
        contents = frozenset(sources)
        left = [entry.key for entry in self.entries.values() if contents & {*entry.sources}]
        found = set(left)
        while left:
            for digest in self.entries[left.pop()].outputs:
                behind = [key for key in self.takers.get(digest, ()) if key not in found]
                found.update(behind)
                left += behind
        return frozenset(found)

    def ancestors(self, key: str) -> Iterator[str]:
        """The keys of the actions that made what an action takes."""
        for digest in self.entries[key].inputs:
            yield from self.makers.get(digest, ())

    @cached_property
    def origins(self) -> Mapping[str, frozenset[str]]:
        """The contents of sources that each action derives from, by its key."""
        found: dict[str, set[str]] = {key: set() for key in self.entries}
        for source in {name for entry in self.entries.values() for name in entry.sources}:
            for key in self.derived([source]):
                found[key].add(source)
        return {key: frozenset(sources) for key, sources in found.items()}

    def data(self, key: str) -> str:
        """The data set that an action derives from, for people."""
        return self.named(self.origins.get(key, frozenset()))

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
    for key in store.records.every_key():
        action = store.records.read(key)
        if action is None:
            continue
        size = _size(store.records.place(key))
        entry = _entry(key, action, size, max(uses.get(key, 0.0), action.made))
        entries[key] = entry
        for digest, location in _located(action, entry.source):
            locations.setdefault(digest, set()).add(location)
    told = {digest: tuple(sorted(names)) for digest, names in locations.items()}
    return Census(blobs=blobs, entries=entries, locations=told)


def held(entry: Entry) -> Iterator[str]:
    """The blobs that an action keeps, its source's snapshot among them."""
    yield from entry.blobs
    if entry.source and entry.source not in entry.blobs:
        yield entry.source
    yield from (part for part in entry.parts if part not in entry.blobs)


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


def _entry(key: str, action: Action, size: int, used: float) -> Entry:
    inputs = action.preimage.get("inputs")
    taken = inputs.values() if isinstance(inputs, Map) else ()
    source = _source(action)
    told = action.about.get("sources")
    parts = action.about.get("parts")
    sources = {source, *(map(str, told.values()) if isinstance(told, Map) else ())} - {""}
    return Entry(
        key=key,
        kind=action.kind,
        step=action.step,
        plan=action.plan,
        shape=shape_of(action.preimage),
        inputs=tuple(sorted({str(digest) for digest in taken})),
        outputs=tuple(sorted({digest.sha256 for _, digest in action.outputs})),
        blobs=tuple(sorted({digest.sha256 for digest in action.blobs})),
        source=source,
        sources=tuple(sorted(sources)),
        size=size,
        used=used,
        parts=tuple(sorted(map(str, parts))) if isinstance(parts, tuple) else (),
    )


def _source(action: Action) -> str:
    source = action.preimage.get("source")
    return str(source.get("digest", "")) if isinstance(source, Map) else ""


def _located(action: Action, source: str) -> Iterator[tuple[str, str]]:
    location, sources = action.about.get("location"), action.about.get("sources")
    if source and isinstance(location, str):
        yield source, location
    if isinstance(sources, Map):
        yield from ((str(digest), name) for name, digest in sources.items())


def _size(place: Path) -> int:
    found = look_at(place)
    return found.size if found is not None else 0


def _by(
    entries: Iterable[Entry], names: Callable[[Entry], tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        for name in names(entry):
            found.setdefault(name, []).append(entry.key)
    return {name: tuple(keys) for name, keys in found.items()}
