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

from mlops_compile.execute.failures import not_stored
from mlops_compile.ir.problem import ProblemsError
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

_SOON = 1.0  # seconds in which an ended run's last results may still reach the store
_AT_ONCE = 0.5  # and those until writing them has stopped, once their files are gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A step's results on their way into the store, and what went wrong with them.

    `room` is removed once they are there.
    """

    step: str
    staged: Staged
    room: Path
    error: ProblemsError | None = None


class Committer:
    """Takes results, and tells which are in the store. Its thread starts with the first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._coming: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._gone: queue.SimpleQueue[Commit] = queue.SimpleQueue()
        self._rooms: dict[str, Path] = {}
        self._read, self._write = os.pipe()
        self._thread: threading.Thread | None = None
        self._given_up = False
        self._broken: BaseException | None = None

    def fileno(self) -> int:
        """Readable when `finished` has something to tell."""
        return self._read

    def put(self, commit: Commit) -> None:
        """Store results, soon."""
        if self._thread is None:
            # A daemon: a disk that does not answer must not keep an interrupted process.
            self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
            self._thread.start()
        self._rooms[commit.step] = commit.room
        self._coming.put(commit)

    def finished(self) -> Iterable[Commit]:
        """What has been stored, or could not be, since the last call. ProblemsError if the thread
        has ended: nothing more will be stored."""
        os.read(self._read, 1 << 16)
        if self._broken is not None:
            raise not_stored("the run", self._broken)
        with contextlib.suppress(queue.Empty):
            while True:
                commit = self._gone.get_nowait()
                self._rooms.pop(commit.step, None)
                yield commit

    def close(self) -> None:
        """Finish what was put, and end the thread. What takes longer than a moment is given up:
        its files are moved away, which ends the work on them and records none of it."""
        if self._thread is not None:
            self._coming.put(None)
            self._thread.join(_SOON)
            if self._thread.is_alive():
                self._give_up()
                self._thread.join(_AT_ONCE)
            if self._thread.is_alive():
                return  # it may still write to the pipe
        os.close(self._read)
        os.close(self._write)

    def _give_up(self) -> None:
        self._given_up = True
        for room in self._rooms.values():
            with contextlib.suppress(OSError):
                room.rename(room.with_name(f"{room.name}-given-up"))

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # the run waits for this thread, so it must hear of its end
            self._broken = error
            os.write(self._write, b".")

    def _serve(self) -> None:
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
        if not batch or self._given_up:
            return
        errors = self._stored(batch)
        for commit, error in zip(batch, errors, strict=True):
            shutil.rmtree(commit.room, ignore_errors=True)
            self._gone.put(
                Commit(step=commit.step, staged=commit.staged, room=commit.room, error=error)
            )
        os.write(self._write, b".")

    def _stored(self, batch: list[Commit]) -> list[ProblemsError | None]:
        """What went wrong with each. Nothing may go unsaid: the run waits for every one."""
        try:
            self._store.commit([commit.staged for commit in batch], batch[0].room)
        except BaseException as error:
            if len(batch) > 1 and not self._given_up:
                return [found for commit in batch for found in self._stored([commit])]
            return [not_stored(commit.step, error) for commit in batch]
        return [None] * len(batch)
