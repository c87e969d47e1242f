"""Durable files: written whole or not at all, and copied without sharing their bytes' place."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from mlops_compile.ir.digest import Digest, digest_of_stream

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h; shares extents until one side is written
_GROUP = stat.S_ISGID | stat.S_IRWXG


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader, or a machine that loses power, sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_directory(path.parent)


def write_named(path: Path, data: bytes) -> None:
    """Write a file that somebody named, as `write_atomic`: where a link leads; into what is no
    regular file, a device or pipe. OSError where that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            path.write_bytes(data)
            return
    write_atomic(path.resolve() if path.is_symlink() else path, data)


def make_directory(path: Path, root: Path) -> None:
    """Make a directory of a store, durably, at any depth below its root. It takes the group's
    rights, and the setgid bit, from the root: whatever the umask, what a group shares stays shared.
    """
    if path.is_dir():
        return
    if path == root:
        root.mkdir(parents=True, exist_ok=True)
        return
    make_directory(path.parent, root)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        share(path, root)
        sync_directory(path.parent)


def share(path: Path, root: Path) -> None:
    """Give a new file or directory the rights that the group has to a store's root."""
    mode = path.stat().st_mode
    more = root.stat().st_mode & (_GROUP if stat.S_ISDIR(mode) else stat.S_IRGRP | stat.S_IWGRP)
    if more & ~mode:
        path.chmod(stat.S_IMODE(mode | more))


def sync_file(path: Path) -> None:
    """Make a file's bytes durable, and the file read-only."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(handle, 0o444)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_file(source: Path, target: Path) -> None:
    """Copy bytes, by reflink where the file system can; never a hard link, since an edit of the
    source would change the copy. The target must not exist."""
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, _CHUNK)


def copy_hashing(source: Path, target: Path) -> Digest:
    """Copy as `copy_file` does; the digest of the copy, of which a plain copy is read but once."""
    hasher, size = hashlib.sha256(), 0
    with source.open("rb", buffering=0) as reader, target.open("xb+", buffering=0) as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            return digest_of_stream(writer)
        except OSError:
            while chunk := reader.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
                _write_all(writer.fileno(), chunk)
    return Digest(sha256=hasher.hexdigest(), size=size)


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory's files below another directory."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        copy_file(file, place)


def digest_file(path: Path) -> Digest:
    """The digest of a file's bytes."""
    with path.open("rb", buffering=0) as file:
        return digest_of_stream(file)
