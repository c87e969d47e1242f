"""Interrupts, put off while a run holds what it must let go of, and heard between its moves."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_Handler = Callable[[int, FrameType | None], object]
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Within its `with`, what SIGINT and SIGTERM would raise at any moment, `check` raises.

    Only Python's main thread is interrupted, so elsewhere there is nothing to put off; nor is there
    where a signal is ignored, or ends the process.
    """

    def __init__(self) -> None:
        self._before: dict[int, _Handler] = {}
        self._came: int | None = None
        self._at_once = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for number, handler in self._before.items():
                signal.signal(number, handler)
        finally:
            os.close(self._read)
            os.close(self._write)
        if kind is None and self._came is not None:
            self._before[self._came](self._came, None)

    def fileno(self) -> int:
        """Readable when `check` has something to raise."""
        return self._read

    def check(self) -> None:
        """Handle now what has come meanwhile, as it would have been handled then: in the main
        thread, as ever."""
        if self._came is None or threading.current_thread() is not threading.main_thread():
            return
        number, self._came = self._came, None
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 1 << 10)
        self._before[number](number, None)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While this lasts, nothing is put off: for long work that holds nothing."""
        try:
            self._at_once = True
            self.check()
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._at_once:
            self._at_once = False
            self._before[number](number, frame)
            return
        self._came = number
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b".")
