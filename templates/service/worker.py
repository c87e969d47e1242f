"""A process that answers: accepts connections, gives up slow ones, and ends gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import uvicorn

from service import Service
from signals import end_well

# Seconds: for the head of a request; until an idle connection is closed, usually and at the end.
HEAD_SECONDS, IDLE_SECONDS, LAST_SECONDS = 10.0, 5, 1.0
# For connections that are being made when a service ends.
SETTLE_SECONDS = 0.2
BACKLOG = 2048
SO_ATTACH_FILTER = 26  # asm-generic/socket.h


class Server(uvicorn.Server):
    """Uvicorn, which forgets no connection at its end and waits for no client for ever."""

    def __init__(self, service: Service) -> None:
        config = uvicorn.Config(
            service,
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            http="httptools",
            ws="none",
            backlog=1,  # connections that are accepted at once: others may take the next
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=max(1, int(service.settings.grace)),
        )
        super().__init__(config)
        self.service = service
        # Whether nobody listens any more once this process has ended.
        self.is_last = True
        self._patience = 2 * service.limits["max_seconds"] + HEAD_SECONDS
        # Since when each connection has been at the request that it is at, or waits for one.
        self._since: dict[object, tuple[object, float]] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM ends it; so does Ctrl-C, which with a parent is the parent's to handle."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if self.service.swap is None:
            loop.add_signal_handler(signal.SIGINT, self.stop)
        yield

    def stop(self) -> None:
        """Be ready no more, accept for a while, then end."""
        if not self.service.stopping:
            self.service.stop()
            asyncio.get_running_loop().call_later(self.service.settings.drain, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % 5 == 0:
            self._give_up(HEAD_SECONDS)
        return await super().on_tick(counter)

    def _give_up(self, seconds: float) -> None:
        """Close connections that wait for a request, or its head, for longer than that, and those
        that take no answer."""
        now, since = asyncio.get_running_loop().time(), {}
        for connection in [*self.server_state.connections]:
            cycle = connection.cycle
            waits = cycle is None or cycle.response_complete
            state = (cycle, waits)
            at, first = self._since.get(connection, (None, now))
            since[connection] = (state, first if at == state else now)
            if now - since[connection][1] > (seconds if waits else self._patience):
                connection.transport.close() if waits else connection.transport.abort()
        self._since = since

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what waits to be accepted, answer what was, and let connections end themselves."""
        if self.is_last:
            await self._take_all()
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + self.service.settings.grace
        while self.server_state.connections and loop.time() < until and not self.force_exit:
            self._give_up(LAST_SECONDS)
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    async def _take_all(self) -> None:
        """Accept what has come: it would be reset when nothing listens any more."""
        waiting = select.poll()
        for server in self.servers:
            for listening in server.sockets:
                take_no_more(listening.fileno())
                waiting.register(listening.fileno(), select.POLLIN)
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_SECONDS
        while loop.time() < until or (waiting.poll(0) and loop.time() < until + LAST_SECONDS):
            await asyncio.sleep(0 if waiting.poll(0) else 0.01)


def take_no_more(number: int) -> None:
    """Have Linux drop what asks a listening socket for a connection, so that its queue ends: the
    client asks again, and finds nobody. Elsewhere nothing is done."""
    if sys.platform != "linux":
        return
    # Of a TCP header, the byte of flags: with SYN (2) nothing is kept, else all.
    program = [(0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    about = struct.pack("HL", len(program), ctypes.addressof(text))
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, about)


class Control:
    """The line to the parent: what a worker tells and is told, one JSON object a line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: dict[int, asyncio.Future[dict]] = {}
        self._number = 0
        self.go = asyncio.Event()
        self.on_last: Callable[[], None] = lambda: None

    def tell(self, **message: object) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def ask(self, wish: dict) -> dict:
        """The parent's answer to a wish."""
        self._number += 1
        future = asyncio.get_running_loop().create_future()
        self._asked[self._number] = future
        self.tell(swap=wish, number=self._number)
        return await future

    async def listen(self, ended: object) -> None:
        """Take what the parent tells until it is gone, then call `ended`."""
        with contextlib.suppress(ConnectionError):
            while line := await self._reader.readline():
                message = json.loads(line)
                if "go" in message:
                    self.go.set()
                elif "last" in message:
                    self.on_last()
                elif message.get("number") in self._asked:
                    self._asked.pop(message["number"]).set_result(message["answer"])
        ended()


class Listening(socket.socket):
    """A socket that listens, and goes on to with as long a queue when a loop has it listen anew."""

    def listen(self, backlog: int = BACKLOG) -> None:
        super().listen(BACKLOG)


def listen(host: str, port: int) -> Listening:
    """A socket that listens, of as many connections as the system lets wait."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    # asyncio sends at once (TCP_NODELAY) on sockets alone that say that they are of TCP; else an
    # answer waits for the acknowledgement of its head, 40 ms.
    found = Listening(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(address)
    found.listen()
    found.setblocking(False)
    return found


def allow_connections() -> None:
    """Let this process have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(service: Service, listening: socket.socket, control: socket.socket | None) -> int:
    """Answer until a signal or the parent ends it; the exit code. With a parent, connections are
    accepted once it says so: at once, or when the model is loaded."""
    allow_connections()
    server = Server(service)
    service.on_failure = server.stop
    if control is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        line = Control(*await asyncio.open_connection(sock=control))
        service.swap = line.ask
        server.is_last = False
        line.on_last = lambda: setattr(server, "is_last", True)

        def ended() -> None:
            line.on_last()
            line.go.set()
            server.stop()

        listener = asyncio.create_task(line.listen(ended))
        loading = service.begin()
        loading.add_done_callback(lambda _: line.tell(loaded=True, failed=service.failed))
        told = asyncio.create_task(line.go.wait())
        await asyncio.wait({loading, told}, return_when=asyncio.FIRST_COMPLETED)
        if not service.failed:
            await told
    if not service.failed:
        await server.serve([listening])
    if control is not None:
        listener.cancel()
    end_well()
    return 1 if service.failed else 0
