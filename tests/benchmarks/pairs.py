"""Times two commands in turn and compares them pair by pair, so that drift cancels."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlops_compile

_NO_CACHE = ("PYTHONDONTWRITEBYTECODE",)


class Missing(Exception):
    """A row cannot be measured here; its text says why."""


def environment() -> Mapping[str, str]:
    """This environment, in which other processes import the same mlops_compile, compiled once as
    installed packages are."""
    place = str(Path(mlops_compile.__file__).resolve().parent.parent)
    cached = {name: text for name, text in os.environ.items() if name not in _NO_CACHE}
    return {**cached, "PYTHONPATH": place}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, its directory, the exit code that is expected, and what puts everything back
    before each run."""

    words: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    code: int = 0
    before: Callable[[], None] = lambda: None

    def seconds(self) -> float:
        """The wall time of one run; CalledProcessError, with its words, if it ends otherwise."""
        self.before()
        start = time.perf_counter()
        done = subprocess.run(
            self.words, cwd=self.directory, env=dict(self.environment), capture_output=True
        )
        seconds = time.perf_counter() - start
        if done.returncode != self.code:
            print(done.stderr.decode(errors="replace"))
            raise subprocess.CalledProcessError(done.returncode, list(self.words))
        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Medians in seconds of this project and its peer, and the median of the ratios by pairs."""

    ours: float
    peer: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. `measure` takes an empty directory and the number of pairs; it gives a
    pair, or where there is no peer a text of figures. Missing where it cannot be measured."""

    name: str
    work: str
    peer: str
    target: str
    measure: Callable[[Path, int], Pair | str]


def compare(ours: Command, peer: Command, runs: int) -> Pair:
    """One warm-up of each, then `runs` pairs in turn."""
    ours.seconds(), peer.seconds()
    pairs = [(ours.seconds(), peer.seconds()) for _ in range(runs)]
    ratios = sorted(a / b for a, b in pairs)
    return Pair(
        ours=statistics.median(a for a, _ in pairs),
        peer=statistics.median(b for _, b in pairs),
        ratio=statistics.median(ratios),
        low=ratios[0],
        high=ratios[-1],
    )
