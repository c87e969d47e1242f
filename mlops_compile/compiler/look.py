"""A look at a source's files: each is hashed once, and brought here once where it is elsewhere."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.sources.kind import (
    Files,
    Place,
    Stamp,
    combined,
    file_digest,
    link_tree,
    tree_text,
)

# A file changed within this time before it was hashed may change again at the same mtime.
_TICK_NS = 2_000_000_000
_PATH = ("data", "source", "path")


class Cache(Protocol):
    """Remembers values by key; losing them costs time only."""

    def get(self, key: str) -> Value: ...

    def put(self, key: str, value: Value) -> None: ...


class Keeping(Protocol):
    """Keeps files by their digest; losing them means to ask for them again."""

    def keep(self, file: Path, digest: Digest) -> None: ...

    def kept(self, digest: Digest) -> Path | None: ...


# Makes a directory that is there as long as its context.
Rooms = Callable[[], AbstractContextManager[Path]]


@contextmanager
def system_room() -> Iterator[Path]:
    """A directory where the system has temporary ones."""
    with tempfile.TemporaryDirectory(prefix="mlops-") as name:
        yield Path(name)


class Look:
    """Looks at files. What had to be fetched, to a `room`, is removed at the end of the `with`
    block; a file that `keeping` has stands for what would be fetched, and `keep` gives it what was.
    """

    def __init__(
        self,
        files: Files,
        cache: Cache,
        refresh: bool,
        keeping: Keeping | None = None,
        room: Rooms = system_room,
    ) -> None:
        self._files = files
        self._cache = cache
        self._refresh = refresh
        self._keeping = keeping
        self._rooms = room
        self._held = ExitStack()
        self._room: Path | None = None
        self._here: dict[str, Path] = {}
        self._stamps = {place.identity: place.stamp() for place in files.places}
        try:
            self._digests = {place.name: self._digest(place) for place in files.places}
        except BaseException:
            self._held.close()
            raise

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    @property
    def digest(self) -> Digest:
        """That of the one file; of a folder, of the text of its files' names and digests."""
        if self._files.tree:
            return digest_of(tree_text(self._digests))
        return combined(list(self._digests.values()))

    def paths(self) -> tuple[Path, ...]:
        """The files as a source kind takes them: on this machine, of a folder one directory."""
        here = {
            place.name: self._kept(place) or self._fetched(place) for place in self._files.places
        }
        if not self._files.tree:
            return tuple(here.values())
        tree = self._own_room() / "tree"
        return (tree if tree.exists() else link_tree(tree, here),)

    def keep(self) -> None:
        """Keep what was fetched, once it is known to be of use."""
        if self._keeping is None:
            return
        for place in self._files.places:
            if place.identity in self._here:
                self._keeping.keep(self._here[place.identity], self._digests[place.name])

    def changed(self, now: Files) -> tuple[str, ...]:
        """The names of the files that came, went or are others by now."""
        before = {place.name: self._stamps[place.identity] for place in self._files.places}
        after = {place.name: place.stamp() for place in now.places}
        names = sorted({*before, *after})
        return tuple(name for name in names if before.get(name) != after.get(name))

    def _own_room(self) -> Path:
        if self._room is None:
            self._room = self._held.enter_context(self._rooms())
        return self._room

    def _kept(self, place: Place) -> Path | None:
        """The kept file; CompileError where it is lost, and another would be fetched."""
        if self._keeping is None or place.identity in self._here:
            return None
        digest = self._digests[place.name]
        if (kept := self._keeping.kept(digest)) is not None:
            return kept
        if file_digest(self._fetched(place)) != digest:
            message = f"{place.identity} gives other rows than were pinned"
            hint = "pin what is there now: compile --refresh"
            raise CompileError([problem("source-changed", message, _PATH[:2], hint)])
        return None

    def _fetched(self, place: Place) -> Path:
        if place.identity not in self._here:
            self._here[place.identity] = place.fetch(self._own_room() / "fetched")
        return self._here[place.identity]

    def _digest(self, place: Place) -> Digest:
        """A file's digest; read only if its stamp is new, or too young to be trusted."""
        key = "file-" + hashlib.sha256(os.fsencode(place.identity)).hexdigest()
        stamp = self._stamps[place.identity]
        cached = self._cache.get(key)
        if not self._refresh and isinstance(cached, Map) and _stands(stamp, cached):
            sha256, size = cached.get("sha256"), cached.get("size")
            if isinstance(sha256, str) and isinstance(size, int):
                return Digest(sha256=sha256, size=size)
        seen = time.time_ns()
        try:
            digest = file_digest(self._fetched(place))
        except OSError as error:
            message = f"{place.identity} cannot be read: {error.strerror or error}"
            raise CompileError([problem("source", message, _PATH)]) from None
        found: dict[str, Value] = {
            "stat": stamp.value,
            "seen": seen,
            "sha256": digest.sha256,
            "size": digest.size,
        }
        self._cache.put(key, Map(found))
        return digest


def _stands(stamp: Stamp, cached: Map) -> bool:
    """Whether what is remembered was of the same file."""
    if not stamp.value or cached.get("stat") != stamp.value:
        return False
    seen = cached.get("seen")
    return stamp.changed is None or (isinstance(seen, int) and stamp.changed < seen - _TICK_NS)
