"""Blobs by digest: written once, verified before use; trees are blobs that list blobs."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.store.files import (
    copy_file,
    copy_hashing,
    digest_file,
    make_directory,
    sync_directory,
    sync_file,
    write_atomic,
)
from mlops_compile.store.guard import Guard


class MissingBlob(StoreError):
    """A blob that should be in the store is not there, or was corrupt and is now quarantined."""


class BlobStore:
    """Files named by the sha256 of their bytes, as `sha256sum` prints it, read-only on disk."""

    def __init__(self, root: Path, guard: Guard) -> None:
        self._store = root
        self._root = root / "blobs"
        self._quarantine = root / "quarantine"
        self._guard = guard
        self._verified: set[str] = set()

    def place(self, sha256: str) -> Path:
        """Where a blob is, or would be."""
        return self._root / sha256[:2] / sha256

    def has(self, digest: Digest) -> bool:
        """Whether a blob of that name and size is there; its bytes are verified when read."""
        try:
            return self.place(digest.sha256).stat().st_size == digest.size
        except OSError:
            return False

    def put(self, data: bytes) -> Digest:
        """Store bytes. OSError where they cannot be written; then nothing is there."""
        digest = digest_of(data)
        with self._guard.shared():
            if not self.sound(digest):
                write_atomic(self.home(digest.sha256), data, mode=0o444)
                self._verified.add(digest.sha256)
        return digest

    def import_file(self, source: Path, via: Path, wanted: Digest) -> bool:
        """Copy a file of the user's into the store, by way of a new file of the same file system;
        whether it has the wanted digest. If not, or after an OSError, nothing is there."""
        try:
            if copy_hashing(source, via) != wanted:
                return False
            sync_file(via)
            with self._guard.shared():
                place = self.home(wanted.sha256)
                os.rename(via, place)
                sync_directory(place.parent)
        finally:
            via.unlink(missing_ok=True)
        self._verified.add(wanted.sha256)
        return True

    def home(self, sha256: str) -> Path:
        """Where a blob belongs; its directory is there."""
        place = self.place(sha256)
        make_directory(place.parent, self._store)
        return place

    def read(self, digest: Digest) -> Path:
        """The verified file of a blob, to read only. MissingBlob if it is gone or was corrupt."""
        if not self.sound(digest):
            message = f"the blob {digest.sha256[:12]} is missing or its bytes are wrong"
            hint = "run again: it is made anew (a wrong one is kept in quarantine/)"
            raise MissingBlob([problem("blob", message, hint=hint)])
        return self.place(digest.sha256)

    def renew(self, digests: Sequence[Digest]) -> None:
        """Make blobs durable that are there, and let them look as if they were written now: to a
        collection that has counted them before, nobody seemed to need them. MissingBlob if one is
        gone; OSError where they cannot be written."""
        for digest in digests:
            place = self.read(digest)
            before = place.stat().st_ctime_ns
            while place.stat().st_ctime_ns == before:  # the file system's clock may be a coarse one
                os.utime(place)
        for directory in sorted({self.place(digest.sha256).parent for digest in digests}):
            sync_directory(directory)

    def tree(self, digest: Digest) -> Iterator[tuple[str, Digest]]:
        """The files of a tree by relative path. StoreError for a path that would leave it."""
        try:
            value = parse(self.read(digest).read_bytes())
            if not isinstance(value, Map):
                raise ValueError("no object")
            entries = [(name, Digest.from_dict(entry)) for name, entry in value.items()]
        except ValueError:
            raise StoreError([problem("tree", f"{digest.sha256[:12]} is not a tree")]) from None
        for name, entry in entries:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                message = f"the tree {digest.sha256[:12]} has a path that leaves it: {name!r}"
                raise StoreError([problem("tree", message)])
            yield name, entry

    def checkout(self, digest: Digest, directory: Path) -> None:
        """Write the files of a tree below a directory, verified, as copies."""
        for name, entry in self.tree(digest):
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            copy_file(self.read(entry), target)

    def sound(self, digest: Digest) -> bool:
        """Whether a blob is there and is what its name says; a wrong one is set aside."""
        if digest.sha256 in self._verified and self.has(digest):
            return True
        self._verified.discard(digest.sha256)
        try:
            found = digest_file(self.place(digest.sha256))
        except OSError as error:
            if error.errno != errno.EIO:
                return False
            found = None  # a bad sector is damage, too
        if found is None or found.sha256 != digest.sha256:
            self._set_aside(digest.sha256)
        if found != digest:
            return False
        self._verified.add(digest.sha256)
        return True

    def wrote(self, sha256s: Iterable[str]) -> None:
        """Blobs whose bytes were hashed as they were written need no second look."""
        self._verified.update(sha256s)

    def _set_aside(self, sha256: str) -> None:
        """Keep a wrong blob out of everybody's way; where that cannot be, nobody takes it either,
        since each reader verifies."""
        with contextlib.suppress(OSError):
            make_directory(self._quarantine, self._store)
            os.replace(self.place(sha256), self._quarantine / sha256)


Staging = tuple[Digest, tuple[tuple[Path, Digest], ...]]


def stage(path: Path, tree: bool, listing: Path) -> Staging:
    """What an output would be in the store: its digest, and the files that are to become blobs.

    A tree is a directory; the canonical text of its files' paths, digests and sizes is written to
    `listing`, which becomes a blob too. Nothing is moved.
    """
    if not tree:
        digest = digest_file(path)
        return digest, ((path, digest),)
    files = {name: (file, digest_file(file)) for name, file in _files(path)}
    text = _listing({name: digest for name, (_, digest) in files.items()})
    listing.write_bytes(text)
    return digest_of(text), (*files.values(), (listing, digest_of(text)))


def tree_digest(directory: Path) -> Digest:
    """The digest that a directory's files would have as a tree."""
    return digest_of(_listing({name: digest_file(path) for name, path in _files(directory)}))


def _files(directory: Path) -> list[tuple[str, Path]]:
    files = (p for p in directory.rglob("*") if p.is_file() and p.parent.name != "__pycache__")
    return sorted((path.relative_to(directory).as_posix(), path) for path in files)


def _listing(digests: Mapping[str, Digest]) -> bytes:
    entries: dict[str, Value] = {name: digest.to_dict() for name, digest in digests.items()}
    return pretty(Map(entries)).encode("utf-8")
