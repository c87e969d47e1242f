"""Faults from inside of a process: it is killed, or finds no room, right before it changes a file.

Python tells an audit hook what it is about to do, and the hook may raise instead.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable

_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir"}
_TAKES_ROOM = {"os.rename", "os.mkdir"}


def die_at(number: int) -> None:
    """Kill this process right before it changes files for the so-manieth time."""
    left = [number]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _CHANGES or _opens_to_write(event, arguments):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def interrupt_at(number: int) -> Callable[[], bool]:
    """Raise KeyboardInterrupt in place of the so-manieth change of files, or lock of one; gives a
    function that tells whether it came to that."""
    left = [number]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in {*_CHANGES, "os.chmod", "fcntl.flock"} or _opens_to_write(event, arguments):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

    sys.addaudithook(hook)
    return lambda: left[0] <= 0


def full_from(first: int, times: int, below: str) -> Callable[[], int]:
    """Let there be no room for so many changes of files below a directory, from the first on;
    gives a function that tells how many changes have been asked for."""
    done, mutex = [0], threading.Lock()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in _TAKES_ROOM and not _opens_to_write(event, arguments):
            return
        if not any(str(argument).startswith(below) for argument in arguments[:2]):
            return
        with mutex:
            done[0] += 1
            now = done[0]
        if first <= now < first + times:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.addaudithook(hook)
    return lambda: done[0]


def _opens_to_write(event: str, arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if event == "open" and len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
