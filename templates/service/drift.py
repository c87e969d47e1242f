"""Running drift: how far the latest values are from the reference, in the bins of both.

A window is what was counted since a mark. Marks move by half of it: it has between half of and all
of the latest records of each process, and costs nothing but two copies of the counts.
"""

from __future__ import annotations

from math import log

from bins import BINS, SHARES
from metrics import MARK, MARKED, Sample

RECORDS = 10_000  # of a window of one process, at most


class Window:
    """Moves the marks of this process behind its counts."""

    def __init__(self, counts: memoryview, marks: memoryview) -> None:
        self._counts, self._marks = counts, marks
        self._middle = bytes(counts)
        self._records = 0

    def count(self, records: int) -> None:
        """Take note that so many records were counted."""
        self._records += records
        if self._records >= RECORDS // 2:
            self._marks.cast("B")[:] = self._middle
            self._middle = bytes(self._counts)
            self._records = 0


def samples(family: str) -> list[Sample]:
    """The samples of a family that has all bins, in their order."""
    return [(family, _labels(column, name)) for column, names in BINS.items() for name in names]


def measured(found: dict[Sample, float]) -> dict[Sample, float]:
    """The reference, and how far from it the windows of all processes are together."""
    told = {}
    for column, shares in SHARES.items():
        names = BINS.get(column, ["(missing)"])
        for name, share in zip(names, shares):
            told["mlops_reference_share", _labels(column, name)] = share
        if column in BINS:
            counts = [_since(found, _labels(column, name)) for name in names[:-1]]
            label = (("column", column),)
            told["mlops_drift_psi", label] = psi(shares[:-1], counts)
            told["mlops_drift_values", label] = sum(counts)
    return told


def psi(shares: list[float], counts: list[float]) -> float:
    """The population stability index of counts. To each bin is added its share of half a value for
    each, so that none is impossible."""
    half = len(shares) / 2
    whole = sum(counts) + half
    after = [(count + half * share) / whole for share, count in zip(shares, counts)]
    return sum((now - share) * log(now / share) for share, now in zip(shares, after))


def _since(found: dict[Sample, float], labels: tuple) -> float:
    """What was counted since the marks; they move while others are read."""
    return max(0.0, found[MARKED, labels] - found[MARK, labels])


def _labels(column: str, name: str) -> tuple[tuple[str, str], ...]:
    return (("column", column), ("bin", name))
