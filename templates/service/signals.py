"""Signals: what they do to a process that ends."""

from __future__ import annotations

import asyncio
import signal


def end_well() -> None:
    """Have no signal change how this process ends, which it is about to."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
