"""Corrected: p-values of many tests, so that together they seldom alarm by accident."""

from __future__ import annotations

from collections.abc import Sequence


def holm(found: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the given order: each is below a level where the test would be
    significant at a chance of that level of any false alarm in all of them.

    S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected = [0.0] * len(found)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(found)), key=lambda place: found[place])):
        least = max(least, min(1.0, (len(found) - rank) * found[place]))
        corrected[place] = least
    return corrected
