"""Makes the frozen project anew, where a step kind has another version: see CONTRIBUTING.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import mlops_compile as mc
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.sweep import Sweep, SweepPoint
from mlops_compile.ir.value import Map
from tests.frozen_project import LOCKS, MADE, Made, action_row, case_row, cases, made_of


def generate() -> tuple[Sweep, Made]:
    """All cases, run in empty stores."""
    points: list[SweepPoint] = []
    rows: dict[str, Map] = {}
    actions: dict[str, Map] = {}
    with tempfile.TemporaryDirectory() as folder, mc.Workers(1) as workers:
        for name in cases():
            record, made = made_of(name, Path(folder), workers)
            points.append(SweepPoint(overrides=(name,), lock=record.lock))
            rows[name] = case_row(name, record)
            actions |= {key: action_row(key, action) for key, action in made.items()}
    return Sweep(points=tuple(points)), Made(this_platform(), rows, dict(sorted(actions.items())))


def moved(before: Made, now: Made) -> list[str]:
    """The keys of which something else was made than before."""
    both = before.actions.keys() & now.actions.keys()
    return sorted(key for key in both if before.outputs(key) != now.outputs(key))


def main() -> int:
    """1, and nothing is written, where equal causes gave other bytes."""
    sweep, made = generate()
    if MADE.exists() and (keys := moved(Made.read(), made)):
        for key in keys:
            preimage = made.actions[key]["preimage"]
            assert isinstance(preimage, Map)
            print(f"{key[:12]}, a {preimage['kind']}: other bytes of the same key", file=sys.stderr)
        print("raise the versions of these step kinds first", file=sys.stderr)
        return 1
    LOCKS.write_text(sweep.text, "utf-8")
    MADE.write_text(made.text, "utf-8")
    print(f"{len(made.actions)} results of {len(made.cases)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
