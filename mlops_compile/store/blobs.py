"""Blobs by digest: written once, verified before use; trees are blobs that list blobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.store.files import copy_file, digest_file, sync_directory, write_atomic


class MissingBlob(StoreError):
    """A blob that should be in the store is not there, or was corrupt and is now quarantined."""


class BlobStore:
    """Files named by the sha256 of their bytes, as `sha256sum` prints it, read-only on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs"
        self._quarantine = root / "quarantine"
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

    def adopt(self, file: Path) -> Digest:
        """Move a file of the same file system into the store. Its bytes are durable before its name
        is: a kill or a full disk leaves no wrong object."""
        digest = digest_file(file, sync=True)
        place = self.place(digest.sha256)
        if self._sound(digest):
            file.unlink()
            return digest
        place.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(0o444)
        os.rename(file, place)
        sync_directory(place.parent)
        self._verified.add(digest.sha256)
        return digest

    def put(self, data: bytes) -> Digest:
        """Store bytes."""
        digest = digest_of(data)
        if not self._sound(digest):
            write_atomic(self.place(digest.sha256), data, mode=0o444)
            self._verified.add(digest.sha256)
        return digest

    def adopt_tree(self, directory: Path) -> tuple[Digest, tuple[Digest, ...]]:
        """Move a directory's files into the store: the digest of the tree, and those of its files.

        A tree is the canonical text of its files' paths, digests and sizes.
        """
        digests = {name: self.adopt(path) for name, path in _files(directory)}
        return self.put(_listing(digests)), tuple(digests.values())

    def read(self, digest: Digest) -> Path:
        """The verified file of a blob, to read only. MissingBlob if it is gone or was corrupt."""
        if not self._sound(digest):
            message = f"the blob {digest.sha256[:12]} is missing or its bytes are wrong"
            hint = "run again: it is made anew (a wrong one is kept in quarantine/)"
            raise MissingBlob([problem("blob", message, hint=hint)])
        return self.place(digest.sha256)

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

    def _sound(self, digest: Digest) -> bool:
        """Whether a blob is there and is what its name says; a wrong one is set aside."""
        if digest.sha256 in self._verified and self.has(digest):
            return True
        if not self.place(digest.sha256).exists():
            return False
        found = digest_file(self.place(digest.sha256))
        if found.sha256 != digest.sha256:
            self._set_aside(digest)
        if found != digest:
            return False
        self._verified.add(digest.sha256)
        return True

    def _set_aside(self, digest: Digest) -> None:
        place = self.place(digest.sha256)
        self._verified.discard(digest.sha256)
        if place.exists():
            self._quarantine.mkdir(parents=True, exist_ok=True)
            os.replace(place, self._quarantine / digest.sha256)


def tree_digest(directory: Path) -> Digest:
    """The digest that a directory's files would have as a tree."""
    return digest_of(_listing({name: digest_file(path) for name, path in _files(directory)}))


def _files(directory: Path) -> list[tuple[str, Path]]:
    files = (p for p in directory.rglob("*") if p.is_file() and p.parent.name != "__pycache__")
    return sorted((path.relative_to(directory).as_posix(), path) for path in files)


def _listing(digests: Mapping[str, Digest]) -> bytes:
    entries: dict[str, Value] = {name: digest.to_dict() for name, digest in digests.items()}
    return pretty(Map(entries)).encode("utf-8")
