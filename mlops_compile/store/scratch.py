"""Scratch space: where live runs write, beside the blobs; what dead ones left is removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.store.files import make_directory, share

_LOCK = ".lock"
_PLAN = "plan.lock.json"
_SOON = 0.5  # seconds that an interrupted process still has for removing what it wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run that goes on: the text of the lock that it executes (may be empty), and when it began,
    in nanoseconds of the file system's clock."""

    name: str
    lock: str
    began: int


class Scratch:
    """The directories of live runs, each held by a lock that dies with its process."""

    def __init__(self, root: Path) -> None:
        self._store = root
        self._root = root / "scratch"

    @contextmanager
    def room(self, lock_text: str = "") -> Iterator[Path]:
        """A directory of this process, removed at the end. `lock_text` is the lock that it is for:
        nothing of that plan is collected meanwhile. OSError where there can be none.

        Where an interrupt ends it, what takes longer than a moment is left to the next `sweep`.
        """
        make_directory(self._root, self._store)
        directory, lock = self._root / f"room-{secrets.token_hex(8)}", None
        remove = _remove
        try:  # from before it is made: an interrupt may come at any time
            lock = _made_and_locked(directory)
            share(directory / _LOCK, self._store)
            if lock_text:
                new = directory / f".{_PLAN}"
                new.write_text(lock_text, "utf-8")
                share(new, self._store)
                new.rename(directory / _PLAN)
            share(directory, self._store)
            yield directory
        except Exception:
            raise
        except BaseException:
            remove = _remove_some
            raise
        finally:
            try:
                remove(directory)
            finally:
                if lock is not None:
                    os.close(lock)

    def live(self) -> tuple[LiveRun, ...]:
        """The runs that go on. StoreError where another user's may not be known."""
        return tuple(_run(place) for place in self._places() if _held(place))

    def dead(self) -> tuple[Path, ...]:
        """The directories that dead processes left."""
        return tuple(place for place in self._places() if not _held(place))

    def left(self) -> tuple[Path, ...]:
        """Those of them that hold something, as after a sweep that could not remove it."""
        found = []
        for place in self.dead():
            with contextlib.suppress(FileNotFoundError):
                if any(place.iterdir()):
                    found.append(place)
        return tuple(found)

    def sweep(self) -> None:
        """Remove the directories that dead processes left."""
        for place in self._places():
            with contextlib.suppress(OSError):
                _remove_dead(place)

    def _places(self) -> list[Path]:
        try:
            return sorted(self._root.iterdir())
        except OSError:
            return []


def _made_and_locked(directory: Path) -> int:
    """Make a directory; its held lock. It is made anew if a sweep took it before it was locked."""
    while True:
        directory.mkdir(mode=0o700)
        try:
            lock = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (directory / _LOCK).exists():
            return lock
        os.close(lock)


def _remove(directory: Path) -> None:
    """Remove a directory, to the end even if an interrupt comes meanwhile."""
    try:
        shutil.rmtree(directory, ignore_errors=True)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _remove_some(directory: Path) -> None:
    """Remove a directory, or as much of it as a moment allows: its lock's file goes last."""
    until = time.monotonic() + _SOON
    for place, _, names in os.walk(directory, topdown=False):
        for name in sorted(names, reverse=True):
            if time.monotonic() > until:
                return
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(place, name))
        with contextlib.suppress(OSError):
            os.rmdir(place)


def _remove_dead(place: Path) -> None:
    """Remove a directory, unless its lock is held."""
    try:
        lock = os.open(place / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        _remove_unlocked(place)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(lock)


def _remove_unlocked(place: Path) -> None:
    """Remove a directory without a lock: it is empty where a kill or nobody came yet between its
    making and its lock; else it is what a kill left of one that was being removed."""
    try:
        place.rmdir()
    except OSError:
        if (place / _LOCK).exists():  # it has just been locked
            return
        shutil.rmtree(place, ignore_errors=True)


def _held(place: Path) -> bool:
    try:
        lock = os.open(place / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # between its making and its lock, or left there by a kill
        return False
    except OSError:  # another user's: it cannot be known, so it lives
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def _run(place: Path) -> LiveRun:
    try:
        text = (place / _PLAN).read_text("utf-8")
    except PermissionError:
        if os.access(place, os.X_OK):
            message = f"another user's run goes on, and its lock {place / _PLAN} cannot be read"
            hint = "wait until it has ended: what it uses must stay"
            raise StoreError([problem("store", message, hint=hint)]) from None
        text = ""  # it is being made: who works there has looked nothing up yet
    except (OSError, UnicodeDecodeError):
        text = ""
    try:
        began = (place / _LOCK).stat().st_ctime_ns
    except OSError:
        began = 0
    return LiveRun(name=place.name, lock=text, began=began)
