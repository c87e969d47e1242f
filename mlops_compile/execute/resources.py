"""What a run may use of a machine, and how its steps share it; nothing of it changes a result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """`workers` steps at once over `cores`; `threads` of a step, where they are stated; `memory`
    in bytes that one step may take, where it is limited."""

    cores: int
    workers: int
    threads: int | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if min(self.cores, self.workers, self.threads or 1, self.memory or 1) < 1:
            raise ValueError(f"a run needs at least one of each: {self}")

    def threads_for(self, side_by_side: int) -> int:
        """The threads of a step that starts now, beside others that run or could: a step alone
        has every core."""
        if self.threads is not None:
            return self.threads
        return max(1, self.cores // max(1, min(side_by_side, self.workers)))


def cores_here() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_of(pid: int) -> int:
    """The memory of a process that is its own, in bytes; 0 where it is not told.

    Mapped files are left out: they are the store's, and the system takes them back when it must.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
