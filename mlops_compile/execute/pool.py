"""Worker processes: started when first needed, kept warm, killed when their work is not wanted."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType

from mlops_compile.execute.messages import (
    Job,
    Outcome,
    decode_outcome,
    encode_ahead,
    encode_job,
)

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from mlops_compile.execute.worker import main; main(*map(int, sys.argv[2:]))"
)
_CHUNK = 1 << 16


class Worker:
    """One worker process. `imported` are the modules that it has, or is about to have."""

    def __init__(self, environment: dict[str, str]) -> None:
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        path = json.dumps(sys.path)
        words = [sys.executable, "-c", _START, path, str(read), str(write), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(read, write),
                env=environment,
            )
        finally:
            os.close(read)
            os.close(write)
        self._text = b""
        self.imported: set[str] = set()
        self.job: Job | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Readable when the worker has something to say, or has ended."""
        return self._read

    def give(self, job: Job) -> None:
        """Hand over a job; one whose process has ended is found out by `hear`."""
        self.job = job
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
        self._text += data
        if not self._text.endswith(b"\n"):
            return None
        line, self._text, self.job = self._text, b"", None
        return decode_outcome(line)

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def ending(self) -> str:
        """How the process ended, for people."""
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process at once, whatever it does; what it wrote is in no store yet."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the process's end, and let go of its pipes."""
        for end in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(end)
        self._process.wait()

    def _send(self, line: bytes) -> None:
        view = memoryview(line)
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(self._write, view) :]


class Workers:
    """At most `count` worker processes. Close them, or use them in a `with`: until then they stay,
    and a second run finds its libraries imported."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a run needs at least one worker, not {count}")
        self.count = count
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
        room and none has them all. None if all are at work."""
        for ended in [worker for worker in self._all if worker.has_ended and worker.job is None]:
            self.remove(ended)
        free = [worker for worker in self._all if worker.job is None]
        best = max(free, key=lambda w: len(w.imported & set(modules)), default=None)
        if best is not None and (set(modules) <= best.imported or len(self._all) == self.count):
            return best
        return self.started() or best

    def started(self) -> Worker | None:
        """A new worker, where there is room for one."""
        if len(self._all) == self.count:
            return None
        worker = Worker(dict(os.environ))
        self._all.append(worker)
        self._selector.register(worker, selectors.EVENT_READ)
        return worker

    def ready(self, seconds: float | None, *others: int) -> tuple[list[Worker], bool]:
        """The workers that have something to say, and whether one of `others` (descriptors) has;
        waits at most `seconds`, or for as long as it takes."""
        for other in others:
            self._selector.register(other, selectors.EVENT_READ)
        try:
            found = [key.fileobj for key, _ in self._selector.select(seconds)]
        finally:
            for other in others:
                self._selector.unregister(other)
        workers = [item for item in found if isinstance(item, Worker)]
        return workers, len(workers) < len(found)

    def remove(self, worker: Worker) -> None:
        """Kill a worker, or bury one that has ended; another may take its room."""
        self._selector.unregister(worker)
        self._all.remove(worker)
        worker.kill()
        worker.close()

    def stop(self) -> None:
        """Kill every worker that is at work; the idle ones stay."""
        for worker in [worker for worker in self._all if worker.job is not None]:
            self.remove(worker)

    def close(self) -> None:
        """End all of them."""
        for worker in self._all:
            worker.kill()
        for worker in list(self._all):
            self.remove(worker)
        self._selector.close()
