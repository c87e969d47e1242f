"""The directory in which the processes of a service count; none stays whose service is dead."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from settings import Unusable

PREFIX = "mlops-metrics-"
TRIES = 5


@contextlib.contextmanager
def shared() -> Iterator[Path]:
    """A directory that is locked as long as this process lives, and removed at its end. Those that
    killed processes left are removed before."""
    forget()
    for _ in range(TRIES):
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        if (lock := locked(path)) is not None:
            break
        shutil.rmtree(path, ignore_errors=True)  # another has it, which took it for a dead one's
    else:
        raise Unusable(f"no directory in {tempfile.gettempdir()} can be locked, to count in")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def forget() -> None:
    """Remove directories of this user's that no process has locked."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (lock := locked(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def locked(path: Path) -> int | None:
    """A descriptor that locks a directory, until it is closed or its process ends; None where
    another process has locked it, where it is not this user's, or where it is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        about = os.fstat(lock)
        is_there = os.path.samestat(about, os.stat(path, follow_symlinks=False))
        if is_there and about.st_uid == os.geteuid():
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
