"""Distances: how far a column of a window is from its reference, and how likely by accident.

The values are scipy's: of Wasserstein and Kolmogorov-Smirnov by what the reference's sample allows,
which is few values beside the many of a window, so that these are sorted once and walked through
once. tests/test_monitor_distances.py holds each to scipy's function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, kstwo

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_LEAST_EXPECTED = 5.0


def binned(ordered: Array, edges: Array) -> Array:
    """How many of the ordered values lie in each bin; a value that is an edge lies in the bin
    above."""
    ends = np.searchsorted(ordered, edges, side="left")
    return np.diff(ends, prepend=0, append=len(ordered))


def merged(reference: Array, counts: Array) -> tuple[Array, Array]:
    """The counts of both with all levels as one, the last, of which the window should have fewer
    than five rows by the reference's shares. Which these are does not follow from what the window
    has, and so no p-value does."""
    expected = reference * (counts.sum() / reference.sum())
    rare = expected < _LEAST_EXPECTED
    return (
        np.append(reference[~rare], reference[rare].sum()),
        np.append(counts[~rare], counts[rare].sum()),
    )


def psi(reference: Array, counts: Array) -> float:
    """The population stability index, sum of (q - p) ln(q / p).

    Half a row is added to each bin of the reference, and as many to the window, in the shares of
    the reference: what is empty is not impossible, and an empty bin of which a small window should
    have next to nothing adds next to nothing.
    """
    half = len(reference) / 2
    before = (reference + 0.5) / (reference.sum() + half)
    after = (counts + half * before) / (counts.sum() + half)
    return float(np.sum((after - before) * np.log(after / before)))


def jensen_shannon(reference: Array, counts: Array) -> float:
    """The Jensen-Shannon distance of the shares, with natural logarithms: 0 to sqrt(ln 2)."""
    before, after = reference / reference.sum(), counts / counts.sum()
    if np.array_equal(before, after):  # else rounding may leave the root of less than 0
        return 0.0
    return float(np.nan_to_num(jensenshannon(before, after)))


def chi_squared(reference: Array, counts: Array) -> tuple[float, float]:
    """The statistic and p-value of the chi-squared test of two rows of counts, those of `merged`;
    the rest joins the rarest other level where less than five rows are expected of it."""
    expected = reference * (counts.sum() / reference.sum())
    if len(counts) > 1 and expected[-1] < _LEAST_EXPECTED:
        place = int(np.argmin(expected[:-1]))
        reference, counts = _joined(reference, place), _joined(counts, place)
    there = reference + counts > 0
    if there.sum() < 2:
        return 0.0, 1.0
    found = chi2_contingency(np.stack([reference[there], counts[there]]), correction=False)
    return float(found.statistic), float(found.pvalue)


def kolmogorov_smirnov(
    values: Array, weights: Array, ordered: Array, rows: int
) -> tuple[float, float]:
    """The statistic of ordered values against a sample (distinct values in order, and how often
    each stands in it) and its asymptotic two-sided p-value. Where the sample stands for more
    `rows` than it has, the p-value is that of so many, and of a statistic that is less by the
    sample's step, by which it may be beside the whole's."""
    size = int(weights.sum())
    at = np.cumsum(weights) / size
    before = np.concatenate([[0.0], at[:-1]])
    below = np.searchsorted(ordered, values, side="left") / len(ordered)
    up_to = np.searchsorted(ordered, values, side="right") / len(ordered)
    statistic = float(max(np.abs(at - up_to).max(), np.abs(before - below).max()))
    step = 0.0 if rows <= size else 1 / size
    effective = round(rows * len(ordered) / (rows + len(ordered)))
    p = kstwo.sf(max(0.0, statistic - step), max(1, effective))
    return statistic, float(np.clip(p, 0, 1))


def wasserstein(values: Array, weights: Array, ordered: Array, deviation: float) -> float:
    """The Wasserstein distance of ordered values from a sample, in deviations; infinite where a
    value is, and of what differs from a constant."""
    if not np.all(np.isfinite(ordered[[0, -1]])):
        return float("inf")
    places = np.searchsorted(ordered, values)
    held = places + np.arange(len(values))
    grid = np.insert(ordered, places, values)
    before = np.zeros(len(grid))
    before[held] = weights
    after = np.ones(len(grid))
    after[held] = 0
    apart = np.abs(np.cumsum(before) / weights.sum() - np.cumsum(after) / len(ordered))[:-1]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        steps = np.diff(grid)
        if not deviation:
            return float("inf") if np.any(apart[steps > 0]) else 0.0
        if np.all(np.isfinite(steps)):
            return float(np.sum(apart * steps) / deviation)
        return float(np.sum(apart * np.diff(grid / deviation)))  # further apart than numbers tell


def _joined(counts: Array, place: int) -> Array:
    joined = counts[:-1].copy()
    joined[place] += counts[-1]
    return joined
