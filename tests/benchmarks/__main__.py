"""Runs the benchmarks and prints a table: `python -m tests.benchmarks [NAME ...] [--runs N]`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks import (
    batches,
    composing,
    data,
    diffing,
    engine,
    living,
    scoring,
    searching,
    serving,
    sources,
    store,
    sweeps,
)
from tests.benchmarks.pairs import Missing, Pair, Row

_MODULES = (
    *(
        batches,
        composing,
        data,
        diffing,
        engine,
        living,
        scoring,
        searching,
        serving,
        sources,
        store,
    ),
    sweeps,
)
ROWS = {row.name: row for module in _MODULES for row in module.ROWS}


def main() -> None:
    """Measure the named rows, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=15, help="pairs a row (15)")
    parser.add_argument("--where", type=Path, help="a directory on the disk to measure")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ROWS]:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    print("| work | peer | this project | peer's | ratio (range) | target |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.names or ROWS:
        row = ROWS[name]
        with tempfile.TemporaryDirectory(dir=options.where) as directory:
            cells = (row.work, row.peer, *_measured(row, Path(directory), options.runs), row.target)
        print(f"| {' | '.join(cells)} |", flush=True)


def _measured(row: Row, directory: Path, runs: int) -> tuple[str, str, str]:
    try:
        found = row.measure(directory, runs)
    except Missing as error:
        return f"not measured: {error}", "-", "-"
    if not isinstance(found, Pair):
        return found, "-", "-"
    ratio = f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})"
    return f"{found.ours:.3f} s", f"{found.peer:.3f} s", ratio


if __name__ == "__main__":
    main()
