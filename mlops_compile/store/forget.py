"""Forgetting: contents of sources go on purpose and on record, with all that was made of them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.key import key_of
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.value import Map, canonical, parse
from mlops_compile.store.begun import Begun, end_begun, read_begun, write_begun
from mlops_compile.store.census import Census, take_census, with_files
from mlops_compile.store.entry import held
from mlops_compile.store.files import sync_directory, write_atomic
from mlops_compile.store.index import FILE as INDEX
from mlops_compile.store.known import known_sources
from mlops_compile.store.store import Store

_RECORD = "forgotten.jsonl"
_FOLDERS = ("actions/*", "blobs/*", "pins")
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was forgotten, or would be: contents of sources by sha256, and what derives from them.

    `unknown` of the actions may derive from them or not: a record is lost that would tell. `loose`
    of the blobs are of no action, as a kill leaves them. `kept` are blobs that other actions need,
    which do not derive from them. `names` are all the digests and keys by which something else may
    tell of them.
    """

    sources: tuple[str, ...]
    locations: tuple[str, ...]
    actions: int
    unknown: int
    blobs: int
    loose: int
    size: int
    kept: int
    pins: tuple[str, ...]
    cached: int
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a project keeps beside its store: the directories of its cache and of logs, and the
    texts of its locks, whose sources are no leftovers."""

    cache: Path
    logs: Path
    locks: tuple[str, ...] = ()


def forget(
    store: Store,
    what: str,
    contents: frozenset[str],
    beside: Beside,
    *,
    reason: str,
    when: str,
    dry_run: bool = False,
) -> Forgotten:
    """Remove what `known_sources` finds and all that derives from it, and write that down; and
    whatever could derive from it, since a record is lost or was never written.

    What an earlier one has begun and not finished goes, too. `when` is the time that is written.
    StoreError while a run uses it; OSError where the store cannot be written.
    """

    def looked_at() -> _Forgetting:
        census, begun = take_census(store), _begun(store)
        sources = known_sources(census, what, contents, begun, _has_leftovers(store, census))
        return _Forgetting(store, census, sources, begun, beside)

    if dry_run:
        return looked_at().told()
    with store.guard.alone():
        forgetting = looked_at()
        forgetting.refuse_live()
        forgetting.write_down(reason, when)
        forgetting.remove()
    return forgetting.told()


def finish(store: Store, beside: Beside) -> bool:
    """Finish what a `forget` has begun; whether there was any. It is written down already.

    StoreError while a run uses it; OSError where the store cannot be written.
    """
    if not is_begun(store):
        return False
    with store.guard.alone():
        begun = _begun(store)
        if begun.sources:
            forgetting = _Forgetting(store, take_census(store), begun.sources, begun, beside)
            forgetting.refuse_live()
            forgetting.remove()
    return True


def is_begun(store: Store) -> bool:
    """Whether a `forget` has begun and not finished."""
    return bool(_begun(store).sources)


def _begun(store: Store) -> Begun:
    try:
        return read_begun(store.root) or Begun()
    except (ValueError, KeyError):  # a check names it
        return Begun()


def _has_leftovers(store: Store, census: Census) -> bool:
    """Whether a store holds something of which nothing tells what it derives from."""
    lost = census.lineage.unknown or census.unread or census.loose
    return bool(lost or store.rooms.left() or [*store.root.glob("quarantine/*")])


class _Forgetting:
    """What is to go for some contents of sources."""

    def __init__(
        self,
        store: Store,
        census: Census,
        sources: tuple[str, ...],
        begun: Begun,
        beside: Beside,
    ) -> None:
        self._store = store
        self._census = census
        self._beside = beside
        self._sources = tuple(sorted({*sources, *begun.sources}))
        gone = census.lineage.derived(self._sources) | ({*begun.keys} & census.entries.keys())
        self._unknown = census.lineage.unknown - gone
        self._keys = sorted(gone | self._unknown)
        pins = store.pins.all()
        self._pins = [name for name, text in pins.items() if self._tells(text)]
        locks = [text for name, text in pins.items() if name not in self._pins]
        locks += [*beside.locks, *(run.lock for run in store.rooms.live())]
        copies = {copy for text in locks for copy in self._copies(text)}
        self._plan(
            begun, {sha for copy in copies if copy.isdisjoint(self._sources) for sha in copy}
        )

    def _plan(self, begun: Begun, spared: set[str]) -> None:
        """Tell what goes with the actions, but for these copies of other sources."""
        census, store = self._census, self._store
        own = {sha for key in self._keys for sha in held(census.entries[key])}
        own |= {*self._sources, *begun.blobs}
        others = census.entries.keys() - {*self._keys}
        needed = {sha for key in others for sha in held(census.entries[key])}
        loose = census.loose - own - spared
        self._records = sorted({*self._keys, *census.unread})
        names = {*self._records, *begun.keys}
        plans = {plan for plan, key in store.index.pairs() if key in names} | {*begun.plans}
        locations = {n for s in self._sources for n in census.locations.get(s, ())}
        going = (own - needed) | loose
        self._begun = Begun(
            sources=self._sources,
            locations=tuple(sorted({*locations, *begun.locations})),
            keys=tuple(sorted(names)),
            blobs=tuple(sorted(going)),
            plans=tuple(sorted(plans)),
        )
        self._blobs = sorted(going & census.blobs.keys())
        self._loose = len(loose)
        self._kept = sorted(own & needed & census.blobs.keys())
        self._names = frozenset({*self._sources, *names, *going, *plans})
        self._cached = _cached(self._beside.cache, self._names)

    def _copies(self, lock: str) -> list[frozenset[str]]:
        """The contents that a lock names, each with its files where it is a folder."""
        return [with_files(self._store, sha) for sha in sorted({*_HEX.findall(lock)})]

    def _tells(self, lock: str) -> bool:
        """Whether a lock names one of the sources, or a folder that holds it."""
        return any(not copy.isdisjoint(self._sources) for copy in self._copies(lock))

    def told(self) -> Forgotten:
        """What goes, for people."""
        size = sum(self._census.blobs[sha].size for sha in self._blobs)
        return Forgotten(
            sources=self._sources,
            locations=self._begun.locations,
            actions=len(self._keys),
            unknown=len(self._unknown),
            blobs=len(self._blobs),
            loose=self._loose,
            size=size + sum(self._census.entries[key].size for key in self._keys),
            kept=len(self._kept),
            pins=tuple(self._pins),
            cached=len(self._cached),
            names=self._names,
        )

    def refuse_live(self) -> None:
        """StoreError while a run goes on that uses one of the sources."""
        if any(self._tells(run.lock) for run in self._store.rooms.live()):
            message = "a run goes on that uses this source"
            hint = "wait until it has ended, or end it"
            raise StoreError([problem("store", message, hint=hint)])

    def write_down(self, reason: str, when: str) -> None:
        """Add a line to the record of what was forgotten, before anything goes: never values, nor
        names of files."""
        told = self.told()
        line = canonical(
            Map(
                {
                    "when": when,
                    "sources": told.sources,
                    "reason": reason,
                    "actions": told.actions,
                    "unknown": told.unknown,
                    "blobs": told.blobs,
                    "loose": told.loose,
                    "bytes": told.size,
                    "kept": told.kept,
                }
            )
        )
        place = self._store.root / _RECORD
        before = place.read_bytes() if place.exists() else b""
        write_atomic(place, before + line + b"\n")

    def remove(self) -> None:
        """Remove blobs, rows, records, and what else tells of them; and whatever was set aside or
        left by the dead, which may be a part of it that cannot be told any more.

        What is about to go is written first, so that whoever comes after a kill at any moment knows
        all of it, though the records that told of it may be gone.
        """
        store, beside = self._store, self._beside
        write_begun(store.root, self._begun)
        _remove(map(store.blobs.place, self._blobs))
        store.index.drop(self._begun.keys)
        _remove(map(store.records.place, self._records))
        _remove([*map(store.pins.place, self._pins), *self._cached])
        _remove([store.root / "quarantine", beside.logs])
        self._sweep()
        end_begun(store.root)

    def _sweep(self) -> None:
        """Remove what dead processes left. Those who write into the store's folders wait
        meanwhile; a cache does without what could not be written."""
        store = self._store
        store.rooms.sweep()
        store.claims.sweep()
        store.index.sweep()
        parts = [
            *(p for p in store.root.glob(".new-*") if INDEX not in p.name),
            *(p for folder in _FOLDERS for p in store.root.glob(f"{folder}/.new-*")),
            *self._beside.cache.glob(".new-*"),
        ]
        _remove(parts)
        if left := store.rooms.left():
            message = f"{left[0]} is of a run that died, and cannot be removed"
            hint = "it may hold what is to be forgotten: remove it, and forget again"
            raise StoreError([problem("store", message, hint=hint)])


def _remove(places: Iterable[Path]) -> None:
    """Remove files and directories, durably."""
    gone = list(places)
    for place in gone:
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    for parent in sorted({place.parent for place in gone}):
        if parent.is_dir():
            sync_directory(parent)


def _tells(text: str, names: Collection[str]) -> bool:
    """Whether a text holds one of these digests or keys."""
    return any(name in names for name in _HEX.findall(text))


def _cached(cache: Path, names: frozenset[str]) -> list[Path]:
    """Entries of the cache that tell of what is forgotten: those that name a part of it, plan keys'
    causes that lead to it, and copies of its trees."""
    found = []
    for file in sorted(cache.glob("*.json")):
        text = file.read_text("utf-8", "replace")
        if _tells(text, names) or _key_of_causes(text) in names:
            found.append(file)
    found += [place for place in sorted(cache.glob("bundles/*")) if place.name in names]
    return found


def _key_of_causes(text: str) -> str:
    try:
        value = parse(text)
    except ValueError:
        return ""
    return key_of(value) if isinstance(value, Map) else ""
