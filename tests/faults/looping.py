"""One long-lived process that runs the plan by the Python API, once a line that it is given.

`python -m tests.faults.looping ROOT warm|own`; each line is answered by a JSON object.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import mlops_compile as mc
from mlops_compile.execute.pool import Workers
from mlops_compile.ir.lock import Lock
from tests.faults.plan import WORKERS, steps
from tests.probe import Probes


class Interruptible:
    """SIGINT is KeyboardInterrupt inside of it, and nothing outside."""

    def __init__(self) -> None:
        self.inside = False
        signal.signal(signal.SIGINT, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        if self.inside:
            raise KeyboardInterrupt

    def run(self, lock: Lock, root: Path, workers: Workers | None) -> dict[str, Any]:
        """How a run ended, and the digests that it gave."""
        try:
            self.inside = True
            record = mc.run(lock, project=root, workers=workers)
            self.inside = False
        except KeyboardInterrupt:
            self.inside = False
            return {"ended": "interrupted", "digests": {}}
        digests = {r.step: [digest.sha256 for _, digest in r.outputs] for r in record.results}
        return {"ended": "well", "digests": digests}


def left(root: Path, workers: Workers | None) -> dict[str, Any]:
    """What a run has left behind in this process and in the store."""
    gc.collect()
    store = root / ".mlops" / "store"
    idle = {worker.pid for worker in workers or () if worker.job is None}
    place = Path(f"/proc/self/task/{threading.main_thread().native_id}/children")
    return {
        "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
        "workers": [pid for pid in map(int, place.read_text().split()) if pid not in idle],
        "claims": _names(store / "claims"),
        "scratch": _names(store / "scratch"),
        "descriptors": len(os.listdir("/proc/self/fd")) - 2 * len(idle),
    }


def _names(place: Path) -> list[str]:
    return sorted(os.listdir(place)) if place.is_dir() else []


def main(root: Path, how: str) -> int:
    """Run the plan until there are no more lines."""
    interruptible = Interruptible()
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(Workers(WORKERS)) if how == "warm" else None
        with Workers(1) as nobody:
            lock = Probes(root, nobody, make=False).lock(*steps())
        print(json.dumps({"ended": "not begun", "digests": {}}), flush=True)
        for _ in sys.stdin:
            told = interruptible.run(lock, root, workers)
            print(json.dumps({**told, **left(root, workers)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
