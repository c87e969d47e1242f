"""The project that faults are done to: a plan of many small steps, and its true results."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from mlops_compile.execute.pool import Workers
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock, encode
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import ProblemsError
from mlops_compile.ir.record import RunRecord
from tests.faults.hooks import full_from
from tests.probe import SOURCE, TEXT, Probes, probe

WORKERS = 2


def steps() -> tuple[Step, ...]:
    """Chains side by side, joined in pairs, with directories and outputs of some size."""
    found: list[Step] = []
    for chain in range(4):
        found.append(probe(f"first{chain}", SOURCE, text=str(chain), size=3000 * chain))
        found.append(probe(f"tree{chain}", f"first{chain}", kind="probe_tree", files=5))
        found.append(probe(f"last{chain}", f"tree{chain}", text="last", seconds=0.005))
    for pair in range(2):
        both = (f"last{2 * pair}", f"last{2 * pair + 1}")
        found.append(probe(f"pair{pair}", *both, kind="probe_pair"))
    found.append(probe("all", "pair0", "pair1", kind="probe_pair"))
    return tuple(found)


class Truth:
    """What an undisturbed run gives, by action key and by step."""

    def __init__(self, lock: Lock, record: RunRecord) -> None:
        assert record.ok, [result.error for result in record.results if result.error]
        (_, source), *_ = lock.sources
        self.source = source.digest.sha256
        self.text = encode(lock)
        self.by_key = {result.action: result.outputs for result in record.results}
        self.by_step = {result.step: result.outputs for result in record.results}

    @classmethod
    def of(cls, root: Path, text: str = TEXT) -> Truth:
        """Run the plan once, on a source of this text, in a project of its own."""
        root.mkdir()
        (root / "rows.csv").write_text(text)
        with Workers(WORKERS) as workers:
            probes = Probes(root, workers, make=False)
            lock = probes.lock(*steps())
            return cls(lock, probes.execute(lock))

    def digests(self) -> set[Digest]:
        """The digest of every output."""
        return {digest for outputs in self.by_key.values() for _, digest in outputs}


def main(root: Path) -> int:
    """Run the plan in a project; the exit code that a run has. The environment may set the clock
    back by so many seconds (MLOPS_FAULTS_CLOCK), or let the store's disk be full from one change of
    a file on, for so many of them (MLOPS_FAULTS_FULL)."""
    if seconds := float(os.environ.get("MLOPS_FAULTS_CLOCK", 0)):
        now, now_ns = time.time, time.time_ns
        time.time = lambda: now() + seconds
        time.time_ns = lambda: now_ns() + int(seconds * 1e9)
    if full := os.environ.get("MLOPS_FAULTS_FULL"):
        first, times = full.split(":")
        full_from(int(first), int(times), str(root / ".mlops" / "store"))
    try:
        return _run(root)
    except ProblemsError as error:
        for found in error.problems:
            print("problem", found.code, found.message)
        return error.exit_code


def _run(root: Path) -> int:
    with Workers(WORKERS) as workers:
        probes = Probes(root, workers, make=False)
        record = probes.execute(probes.lock(*steps()))
    for result in record.results:
        print(result.step, result.status, *(digest.sha256 for _, digest in result.outputs))
        for found in result.problems:
            print("problem", found.code, found.message)
    return max(result.exit_code for result in record.results)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
