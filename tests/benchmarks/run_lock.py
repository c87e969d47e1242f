"""Runs the lock of a file as the command line would: `python -m tests.benchmarks.run_lock FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from mlops_compile.api.locks import read_lock
from mlops_compile.api.running import resources_of, run_and_write
from mlops_compile.api.state import state_of
from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.config import compose
from mlops_compile.execute.observer import Silent

if __name__ == "__main__":
    place = Path()
    config = compose((), place)
    resources = resources_of(check_places(config).execution)
    lock = read_lock(Path(sys.argv[1]))
    record, _ = run_and_write(
        lock, state_of(config, place), place, place / "outputs", Silent(), resources
    )
    sys.exit(0 if record.ok else 5)
