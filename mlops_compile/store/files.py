"""Durable files: written whole or not at all, and copied without sharing their bytes' place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from mlops_compile.ir.digest import Digest, digest_of_stream

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h; shares extents until one side is written


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


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    handle = os.open(path, os.O_RDONLY)
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


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory's files below another directory."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        copy_file(file, place)


def digest_file(path: Path, sync: bool = False) -> Digest:
    """The digest of a file's bytes; with `sync`, they are durable afterwards."""
    with path.open("rb", buffering=0) as file:
        digest = digest_of_stream(file)
        if sync:
            os.fsync(file.fileno())
    return digest
