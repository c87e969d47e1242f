"""Makes results durable in a thread of its own; what comes in meanwhile is written as one batch."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.problem import ProblemsError
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A step's results on their way into the store, and what went wrong with them.

    `room` is removed once they are there.
    """

    step: str
    staged: Staged
    room: Path
    error: OSError | ProblemsError | None = None


class Committer:
    """Takes results, and tells which are in the store. Its thread starts with the first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._coming: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._gone: queue.SimpleQueue[Commit] = queue.SimpleQueue()
        self._read, self._write = os.pipe()
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Readable when `finished` has something to tell."""
        return self._read

    def put(self, commit: Commit) -> None:
        """Store results, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="committer")
            self._thread.start()
        self._coming.put(commit)

    def finished(self) -> Iterable[Commit]:
        """What has been stored, or could not be, since the last call."""
        os.read(self._read, 1 << 16)
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._gone.get_nowait()

    def close(self) -> None:
        """Finish what was put, and end the thread."""
        if self._thread is not None:
            self._coming.put(None)
            self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _work(self) -> None:
        more = True
        while more:
            batch: list[Commit | None] = [self._coming.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    batch.append(self._coming.get_nowait())
            more = None not in batch
            self._store_all([commit for commit in batch if commit is not None])

    def _store_all(self, batch: list[Commit]) -> None:
        """Store a batch; where that fails, each of it alone: some may still find room."""
        if not batch:
            return
        error = self._stored(batch)
        if error is not None and len(batch) > 1:
            for commit in batch:
                self._store_all([commit])
            return
        for commit in batch:
            shutil.rmtree(commit.room, ignore_errors=True)
            self._gone.put(
                Commit(step=commit.step, staged=commit.staged, room=commit.room, error=error)
            )
        os.write(self._write, b".")

    def _stored(self, batch: list[Commit]) -> OSError | ProblemsError | None:
        try:
            self._store.commit([commit.staged for commit in batch])
        except (OSError, ProblemsError) as error:
            return error
        return None
