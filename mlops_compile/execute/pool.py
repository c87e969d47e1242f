"""Worker processes: started when first needed, kept warm, killed when their work is not wanted."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from types import TracebackType
from typing import BinaryIO

from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.messages import (
    Job,
    Outcome,
    decode_begin,
    decode_outcome,
    encode_ahead,
    encode_job,
)

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from mlops_compile.execute.worker import main; main(*map(int, sys.argv[2:]))"
)
# Threads of OpenMP that wait for each other soon sleep: where something else wants a core, those
# that spin take it from the one they wait for (docs/execution.md).
_SPIN = {"GOMP_SPINCOUNT": "1000"}
_CHUNK = 1 << 16
_END = 0.5  # seconds until a killed process has ended


class Worker:
    """One worker process. `imported` are the modules that it has, or is about to have; `held` is
    the memory in bytes that it had when its step's own work began, if its job asks for that.

    OSError where the machine starts no further process.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        with ExitStack() as opened:
            read, self._write = _pipe(opened)
            self._read, write = _pipe(opened)
            self._said = opened.enter_context(_unnamed_file())
            path = json.dumps(sys.path)
            words = [sys.executable, "-c", _START, path, str(read), str(write), str(os.getpid())]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=(read, write),
                env=environment,
            )
            opened.pop_all()
        os.close(read)
        os.close(write)
        self._text = b""
        self.imported: set[str] = set()
        self.job: Job | None = None
        self.held: int | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Readable when the worker has something to say, or has ended."""
        return self._read

    def give(self, job: Job) -> None:
        """Hand over a job; one whose process has ended is found out by `hear`."""
        self.job, self.held = job, None
        self._send(encode_job(job))

    def import_ahead(self, modules: Sequence[str]) -> None:
        """Let an idle worker import what it has not."""
        wanted = tuple(name for name in modules if name not in self.imported)
        if wanted:
            self.imported |= set(wanted)
            self._send(encode_ahead(wanted))

    def hear(self) -> Outcome | None:
        """The outcome of the job, once its line is whole; None before. EOFError if the process has
        ended without one."""
        data = os.read(self._read, _CHUNK)
        if not data:
            raise EOFError
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            held = decode_begin(line)
            if held is None:
                self.job = None
                return decode_outcome(line)
            self.held = held
        return None

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def ending(self) -> str:
        """How the process ended, for people."""
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def said(self) -> str:
        """What the process wrote to its stderr outside of steps: why it could not begin."""
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """End the process at once, whatever it does; what it wrote is in no store yet."""
        self._process.kill()

    def close(self, seconds: float = _END) -> None:
        """Wait for the process's end for so long, and let go of its pipes. One that was killed in
        the middle of a write ends when the disk has answered; that is not waited for."""
        for end in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(end)
        self._said.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _send(self, line: bytes) -> None:
        view = memoryview(line)
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(self._write, view) :]


def _lasting(start: Callable[[], Worker]) -> Worker:
    """A worker that lives as long as this process: Linux ends one with the thread that started it,
    so that one which ends earlier, as those of a caller may, has it started by one that does not.
    """
    if threading.current_thread() is threading.main_thread():
        return start()
    return _starter().submit(start).result()


@cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


def _pipe(opened: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


def _unnamed_file() -> BinaryIO:
    """A file without a name: in memory where the system has that, so that no disk is needed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("worker"), "w+b")
    return tempfile.TemporaryFile()


class Workers:
    """At most `count` worker processes. Close them, or use them in a `with`: until then they stay,
    and a second run finds its libraries imported."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a run needs at least one worker, not {count}")
        self.count = count
        self._most = count  # that the machine can start
        self._all: list[Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._all)

    def idle(self, modules: Sequence[str] = ()) -> Worker | None:
        """A worker without a job, that which has most of these modules; a new one where there is
        room and none has them all. None if all are at work. OSError if there is none, and the
        machine starts none."""
        for ended in [worker for worker in self._all if worker.has_ended and worker.job is None]:
            self.remove(ended)
        free = [worker for worker in self._all if worker.job is None]
        best = max(free, key=lambda w: len(w.imported & set(modules)), default=None)
        if best is not None and (set(modules) <= best.imported or not self._has_room):
            return best
        return self.started() or best

    @property
    def can_take(self) -> bool:
        """Whether `idle` would give a worker, if need be a new one."""
        return self._has_room or any(worker.job is None for worker in self._all)

    @property
    def _has_room(self) -> bool:
        return len(self._all) < min(self.count, self._most)

    def started(self) -> Worker | None:
        """A new worker, where there is room for one. Where the machine starts no more, those that
        there are must do, until one of them ends; OSError if there is none."""
        if not self._has_room:
            return None
        try:
            stated = "OMP_WAIT_POLICY" in os.environ
            worker = _lasting(partial(Worker, {**({} if stated else _SPIN), **os.environ}))
        except OSError:
            if not self._all:
                raise
            self._most = len(self._all)
            return None
        self._all.append(worker)
        self._selector.register(worker, selectors.EVENT_READ)
        return worker

    def ready(self, seconds: float | None, *others: int) -> tuple[list[Worker], set[int]]:
        """The workers that have something to say, and those of `others` (descriptors) that have;
        waits at most `seconds`, or for as long as it takes."""
        for other in others:
            self._selector.register(other, selectors.EVENT_READ)
        try:
            found = [key.fileobj for key, _ in self._selector.select(seconds)]
        finally:
            for other in others:
                self._selector.unregister(other)
        workers = [item for item in found if isinstance(item, Worker)]
        return workers, {item for item in found if isinstance(item, int)}

    def remove(self, worker: Worker, seconds: float = _END) -> None:
        """Kill a worker, or bury one that has ended; another may take its room."""
        self._selector.unregister(worker)
        self._all.remove(worker)
        self._most = self.count
        worker.kill()
        worker.close(seconds)

    def stop(self) -> None:
        """Kill every worker that is at work; the idle ones stay."""
        self._end([worker for worker in self._all if worker.job is not None])

    def close(self) -> None:
        """End all of them, before an interrupt that comes meanwhile is heard."""
        with Interrupts():
            self._end(list(self._all))
            self._selector.close()

    def _end(self, workers: list[Worker]) -> None:
        end = time.monotonic() + _END
        for worker in workers:
            worker.kill()
        for worker in workers:
            self.remove(worker, max(0.0, end - time.monotonic()))
