"""The guard: those who look up or add go in together, those who remove go in alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_compile.store.files import share

_LOOK = 0.02  # seconds between two looks whether those who remove are done


class Guard:
    """The lock `gc.lock` of a store. It is held for moments only, never while a step runs.

    `heard` is called while one waits for those who remove, and may raise what ends the wait.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._place = root / "gc.lock"
        self._mutex = threading.Lock()
        self._inside = 0
        self.heard: Callable[[], None] = lambda: None
        self._handle: int | None = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Nothing is removed meanwhile. Threads of a process share one hold of the lock."""
        with self._mutex:
            if self._inside == 0:
                self._handle = self._open()
                if self._handle is not None:
                    self._wait_for(self._handle)
            self._inside += 1
        try:
            yield
        finally:
            with self._mutex:
                self._inside -= 1
                if self._inside == 0 and self._handle is not None:
                    handle, self._handle = self._handle, None
                    leave(handle)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody looks up or adds meanwhile. Never inside of `shared`. OSError where the store
        cannot be written; where there is none, there is nobody to wait for."""
        if not self._root.is_dir():
            yield
            return
        handle = self._open_to_write()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            leave(handle)

    def _wait_for(self, handle: int) -> None:
        """Take part in the lock, once nobody removes; `heard` may end the wait."""
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                try:
                    self.heard()
                except BaseException:
                    os.close(handle)
                    self._handle = None
                    raise
                time.sleep(_LOOK)

    def _open(self) -> int | None:
        """The open lock; None where there is no store yet, or none from which anybody who may not
        write could remove something."""
        with contextlib.suppress(OSError):
            return os.open(self._place, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            return self._open_to_write()
        return None

    def _open_to_write(self) -> int:
        handle = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):  # another user's, who gave the group its rights
            share(self._place, self._root)
        return handle


def leave(handle: int) -> None:
    """Let others in, though a process that was forked meanwhile has the file open, too."""
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)
