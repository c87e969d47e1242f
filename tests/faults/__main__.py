"""Does every fault many times and prints what came of it: `python -m tests.faults [NAME ...]`."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.faults import FAULTS, Impossible
from tests.faults.plan import Truth
from tests.faults.victim import Victim, seconds_of_a_run

_TIMES = {"killed": 300, "raced": 10}


def main() -> None:
    """Do the named faults, or all; the first that leaves something wrong ends with an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(FAULTS))
    parser.add_argument("--times", type=int, help="of each fault (20; 300 kills, 10 races)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--where", type=Path, help="a directory on the file system to test on")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    print("| fault | times | objects lost or wrong | named by fsck | seconds |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=options.where) as directory:
        truth = Truth.of(Path(directory) / "truth")
        victim = Victim(Path(directory) / "victim", truth)
        seconds = seconds_of_a_run(victim)
        for name in options.names or FAULTS:
            times = options.times or _TIMES.get(name, 20)
            print(f"| {name} | {_done(victim, name, times, draw, seconds)} |", flush=True)


def _done(victim: Victim, name: str, times: int, draw: random.Random, seconds: float) -> str:
    victim.faults_named.clear()
    start = time.monotonic()
    for number in range(times):
        victim.what = f"{name} {number}"
        try:
            FAULTS[name](victim, draw, seconds)
        except Impossible as error:
            return f"0 | not done: {error} | - | -"
    named = Counter(victim.faults_named)
    told = "; ".join(f"{count} x {text}" for text, count in sorted(named.items())) or "-"
    return f"{times} | 0 | {told} | {time.monotonic() - start:.0f}"


if __name__ == "__main__":
    main()
