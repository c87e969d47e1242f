"""The parent of worker processes: it holds the socket, and replaces them without a lost request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from pathlib import Path

import metrics
from bundle import Bundle, Corrupt, of_service
from settings import Settings
from shared import shared
from signals import end_well

LOAD_SECONDS = 600.0
AGAIN_SECONDS = 5.0
# A worker that ends sooner than this was not well; so many in a row end the service.
SOON, MOST_SOON = 2.0, 5


class Worker:
    """A worker process, and the line to it."""

    def __init__(self, process: asyncio.subprocess.Process, bundle: Bundle) -> None:
        self.process, self.bundle = process, bundle
        self.started = time.monotonic()
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.leaves = False
        self.writer: asyncio.StreamWriter | None = None

    def tell(self, **message: object) -> None:
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(json.dumps(message).encode() + b"\n")

    def stop(self) -> None:
        """Have it answer what it has accepted, and end."""
        self.leaves = True
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)


class Parent:
    """The workers of a service, and what they serve."""

    def __init__(self, bundle: Bundle, settings: Settings, listening: socket.socket) -> None:
        self._bundle, self._settings, self._listening = bundle, settings, listening
        self._workers: set[Worker] = set()
        self._tasks: set[asyncio.Task] = set()
        self._swapping = asyncio.Lock()
        self._ended = asyncio.Event()
        self._code = self._soon = 0

    async def run(self) -> int:
        """Serve until a signal comes; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._look_again()))
        with shared() as place:
            self._shared = place
            async with self._swapping:
                error = await self._replace(self._bundle, at_once=True)
            if error:
                _say(f"error: {error}")
                return 1
            await self._ended.wait()
            self._swapping = asyncio.Lock()  # a swap that is under way is not waited for
            for worker in self._workers:
                worker.tell(last=True)
                worker.stop()
            self._listening.close()
            await self._wait_for([worker.process for worker in self._workers])
            for task in self._tasks:
                task.cancel()
        end_well()
        return self._code

    async def _wait_for(self, processes: list[asyncio.subprocess.Process]) -> None:
        """Wait for processes that were told to end; those that do not are killed."""
        seconds = self._settings.drain + 2 * self._settings.grace + 15.0
        waits = [asyncio.ensure_future(process.wait()) for process in processes]
        if waits:
            await asyncio.wait(waits, timeout=seconds)
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, bundle: Bundle) -> Worker:
        """A worker, with the bundle's own code."""
        own, its = socket.socketpair()
        numbers = (self._listening.fileno(), its.fileno())
        words = [sys.executable, "-B", "app.py", "--worker", *map(str, numbers), str(self._shared)]
        process = await asyncio.create_subprocess_exec(
            *words, cwd=bundle.directory, pass_fds=numbers
        )
        its.close()
        worker = Worker(process, bundle)
        self._workers.add(worker)
        reader, worker.writer = await asyncio.open_connection(sock=own)
        self._spawn(self._listen(worker, reader))
        self._spawn(self._mind(worker))
        return worker

    async def _listen(self, worker: Worker, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, ValueError):  # ValueError: no line of a worker
            while line := await reader.readline():
                message = json.loads(line)
                if "swap" in message:
                    self._spawn(self._asked(worker, message))
                elif not worker.ready.done():
                    worker.ready.set_result(message["failed"])

    async def _mind(self, worker: Worker) -> None:
        """Wait for a worker's end; what it counted stays, and another takes its place."""
        await worker.process.wait()
        self._workers.discard(worker)
        metrics.end(self._shared, worker.process.pid)
        if not worker.ready.done():
            worker.ready.set_result(f"the worker ended with {worker.process.returncode}")
        if worker.leaves or self._ended.is_set():
            return
        self._soon = self._soon + 1 if time.monotonic() - worker.started < SOON else 0
        _say(f"worker {worker.process.pid} ended with {worker.process.returncode}")
        if self._soon >= MOST_SOON:
            _say("error: workers end as soon as they start")
            self._code = 1
            self._ended.set()
            return
        while self._bundle is worker.bundle and not self._ended.is_set():
            if not (error := await self._ready([await self._start(worker.bundle)])):
                return
            if not self._ended.is_set():
                _say(f"error: {error}; it is tried again in {AGAIN_SECONDS:g} s")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ready(self, workers: list[Worker]) -> str:
        """Let workers accept once all are ready; what is wrong, if anything is."""
        wait = asyncio.gather(*(asyncio.shield(worker.ready) for worker in workers))
        try:
            said = await asyncio.wait_for(wait, LOAD_SECONDS)
        except TimeoutError:
            said = [f"the model was not loaded within {LOAD_SECONDS:g} s"]
        error = next(filter(None, said), "")
        for worker in workers:
            if error:
                worker.leaves = True
                if worker.process.returncode is None:
                    worker.process.kill()
            else:
                worker.tell(go=True)
        return error

    async def _replace(self, bundle: Bundle, at_once: bool = False) -> str:
        """Have new workers take the place of those that there are; why not, where they do not.
        `at_once`: the first says that it lives while they load."""
        new = [await self._start(bundle) for _ in range(self._settings.workers)]
        for worker in new:
            worker.leaves = True  # none takes the place of one that never served
        if at_once:
            new[0].tell(go=True)
        if error := await self._ready(new):
            return error
        for worker in new:
            worker.leaves = False
        self._bundle = bundle
        old = [worker for worker in self._workers if worker not in new]
        for worker in old:
            worker.stop()
        self._spawn(self._wait_for([worker.process for worker in old]))
        return ""

    async def _swapped(self, directory: Path, digest: str | None) -> dict:
        """Swap to the bundle in a directory; what is served then, or the error."""
        async with self._swapping:
            try:
                bundle = await asyncio.to_thread(of_service, directory.resolve())
            except Corrupt as error:
                return {"error": str(error)}
            if digest is not None and digest != bundle.digest:
                return {"error": f"the bundle is {bundle.digest}, not {digest}"}
            before = self._bundle
            if error := await self._replace(bundle):
                return {"error": error}
            _say(f"serving {bundle.directory}")
            return {"bundle": _about(bundle), "before": _about(before)}

    async def _asked(self, worker: Worker, message: dict) -> None:
        """Answer a worker that was asked for a swap."""
        wish = message["swap"]
        directory = Path(self._settings.bundles) / wish["bundle"]
        try:
            if directory.is_dir():
                answer = await self._swapped(directory, wish.get("digest"))
            else:
                answer = {"error": f"there is no bundle {wish['bundle']!r} here", "status": 404}
        except Exception as error:  # whoever asked is not left waiting
            answer = {"error": f"{type(error).__name__}: {error}"}
        worker.tell(number=message["number"], answer=answer)

    async def _look_again(self) -> None:
        """Swap to what the link to the bundle leads to now."""
        answer = await self._swapped(Path(self._settings.bundle), None)
        if "error" in answer:
            _say(f"error: not swapped: {answer['error']}")


def _about(bundle: Bundle) -> dict[str, str]:
    facts = bundle.facts
    return {"digest": bundle.digest, "model": facts["model"], "plan": facts["plan"]}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
