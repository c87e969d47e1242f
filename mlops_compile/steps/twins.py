"""Rows that are equal: found by hashes, block by block, in memory of a few columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
_BLOCK = 1 << 16
# Constants of splitmix64 (Steele, Lea and Flood 2014).
_STEP, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def mix(hashes: Hashes, codes: NDArray[np.int64]) -> None:
    """Take a column's codes into each row's hash, in place."""
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK]
        with np.errstate(over="ignore"):
            block ^= codes[start : start + _BLOCK].view(np.uint64)
            block += _STEP
            block ^= block >> np.uint64(30)
            block *= _FIRST
            block ^= block >> np.uint64(27)
            block *= _SECOND
            block ^= block >> np.uint64(31)


def later_twins(names: Iterable[str], codes: Callable[[str], NDArray[np.int64]], rows: int) -> Rows:
    """The rows that are equal to an earlier one in all of these columns, ascending.

    `codes` gives a column's codes: equal where its values are. It is asked once a column for the
    hashes, and once more where hashes are equal, so that no two hashes can meet by chance.
    """
    hashes = np.zeros(rows, np.uint64)
    for name in names:
        mix(hashes, codes(name))
    order = np.argsort(hashes, kind="stable")
    places = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    earlier, later = order[places], order[places + 1]
    for name in names if len(places) else ():
        column = codes(name)
        same = column[earlier] == column[later]
        earlier, later = earlier[same], later[same]
    return np.sort(later)
