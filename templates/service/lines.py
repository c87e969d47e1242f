"""Files of lines in a directory: one after another up to a size, so many in all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import datetime, timezone
from pathlib import Path


class Lines:
    """What this process appends to files of its own, named `NAME-TIME-PROCESS-NUMBER.jsonl`.

    A file gets no more lines once it has `most_bytes`; the oldest of a name are removed beyond
    `most_files` (0: none is), but none that a process writes still: it holds a lock on it.
    """

    def __init__(self, directory: Path, name: str, most_bytes: int, most_files: int) -> None:
        self._directory, self._name = directory, name
        self._most_bytes, self._most_files = most_bytes, most_files
        self._file = -1
        self._size = self._number = 0

    def append(self, data: bytes, durable: bool = False) -> None:
        """Write whole lines; where that fails (OSError), nothing of them stays. `durable`: they
        survive a loss of power."""
        if self._file < 0 or self._size >= self._most_bytes:
            self._next(durable)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            if durable:
                os.fsync(self._file)
        except OSError:
            self._take_back()
            raise
        self._size += len(data)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _take_back(self) -> None:
        """Cut a file to its whole lines; where even that fails, go on in another."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.close()

    def _next(self, durable: bool) -> None:
        self.close()
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        while self._file < 0:
            self._number += 1
            now = datetime.now(timezone.utc)
            name = f"{self._name}-{now:%Y%m%dT%H%M%S}-{os.getpid()}-{self._number:04d}.jsonl"
            with contextlib.suppress(FileExistsError):  # of another container, by the same number
                self._file = os.open(self._directory / name, how, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._size = 0
        if durable:
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        if self._most_files:
            for path in sorted(self._directory.glob(f"{self._name}-*.jsonl"))[: -self._most_files]:
                with contextlib.suppress(OSError):
                    remove_unused(path)


def remove_unused(path: Path) -> None:
    """Remove a file that no process writes. OSError where one does."""
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(file)
