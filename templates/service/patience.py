"""How long a client may take to send a body: one watch over all costs less than a timer each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from problems import Refused

_LOOKS = 0.1  # seconds


class Patience:
    """Lets each request wait so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task, float] = {}
        self._late: set[asyncio.Task] = set()

    async def wait(self, work: Awaitable[bytes]) -> bytes:
        """What comes of it; Refused where that takes too long."""
        task = asyncio.current_task()
        self._since[task] = asyncio.get_running_loop().time()
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            headers = ((b"connection", b"close"),)
            detail = f"the body did not come within {self._seconds:g} s"
            raise Refused(408, "too-slow", detail, headers=headers) from None
        finally:
            del self._since[task]

    async def watch(self) -> None:
        """Look after those that wait, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_LOOKS, self._seconds))
            until = loop.time() - self._seconds
            for task in [task for task, since in self._since.items() if since < until]:
                if task not in self._late:
                    self._late.add(task)
                    task.cancel()
