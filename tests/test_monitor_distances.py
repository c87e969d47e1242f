"""Distances of monitoring: scipy's own values, on all that a column may hold."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from mlops_compile.monitor.corrected import holm
from mlops_compile.monitor.distances import (
    binned,
    chi_squared,
    jensen_shannon,
    kolmogorov_smirnov,
    merged,
    psi,
    wasserstein,
)
from mlops_compile.steps.monitoring import Kept
from tests.monitoring import column_reference

Array = np.ndarray[Any, Any]
PLAIN = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
HUGE = st.sampled_from([1e300, -1e300, 1e-300, 0.0, -0.0, 5.0])
NUMBERS = st.one_of(
    st.lists(PLAIN, min_size=1, max_size=60),
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60),  # many are equal
    st.lists(HUGE, min_size=1, max_size=20),
    st.tuples(PLAIN, st.integers(1, 40)).map(lambda pair: [pair[0]] * pair[1]),  # constant
)
COUNTS = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(
        *(st.lists(st.integers(0, 500), min_size=bins, max_size=bins) for _ in range(2))
    )
)


def _sample(values: list[float]) -> tuple[Array, Array]:
    return np.unique(np.array(values) + 0.0, return_counts=True)


@given(NUMBERS, NUMBERS)
def test_kolmogorov_smirnov_is_scipys(before: list[float], after: list[float]) -> None:
    assume(len(before) + len(after) > 2)  # scipy has no p-value of two rows
    found = kolmogorov_smirnov(*_sample(before), np.sort(after), len(before))
    theirs = ks_2samp(before, after, method="asymp")
    assert found == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-12)


@given(NUMBERS, NUMBERS)
def test_wasserstein_is_scipys(before: list[float], after: list[float]) -> None:
    theirs = wasserstein_distance(before, after)
    scale = max(1.0, *map(abs, before), *map(abs, after))
    found = wasserstein(*_sample(before), np.sort(after), 2.0)
    assert found * 2 == pytest.approx(theirs, rel=1e-9, abs=1e-13 * scale)


@given(NUMBERS, st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_of_any_numbers_a_distance_is_a_number(before: list[float], after: list[float]) -> None:
    """Infinities, constants, and what is further apart than a number can tell."""
    ordered, deviation = np.sort(after), float(np.std(np.array(before) / 1e150)) * 1e150
    found = wasserstein(*_sample(before), ordered, deviation)
    assert found >= 0
    if np.isinf(after).any():
        assert found == math.inf
    statistic, p = kolmogorov_smirnov(*_sample(before), ordered, len(before))
    assert 0 <= statistic <= 1 and 0 <= p <= 1


@given(NUMBERS)
def test_a_column_is_at_no_distance_from_itself(values: list[float]) -> None:
    for deviation in (0.0, 1.0):
        assert wasserstein(*_sample(values), np.sort(values), deviation) == 0
    assert kolmogorov_smirnov(*_sample(values), np.sort(values), len(values)) == (0, 1)


def test_what_differs_from_a_constant_is_infinitely_many_deviations_away() -> None:
    assert wasserstein(*_sample([5.0, 5.0]), np.array([5.0, 5.0, 6.0]), 0.0) == math.inf


@given(st.integers(0, 10_000), st.sampled_from([20, 300, 3000]), st.sampled_from([50, 2000]))
def test_a_sample_is_never_surer_than_all_values(seed: int, rows: int, seen: int) -> None:
    """The statistic of order statistics is that of all values but for a step, and its p-value is
    not less, for what is alike and what is not."""
    random = np.random.RandomState(seed)
    before = random.normal(size=rows).round(random.randint(0, 4))
    after = np.sort(random.normal(random.choice([0.0, 0.1]), size=seen).round(1))
    kept = Kept(values=100)
    held = column_reference("x", before, kept)
    values, weights = np.array(held.sample).T
    statistic, p = kolmogorov_smirnov(values, weights, after, rows)
    theirs = ks_2samp(before, after, method="asymp")
    assert abs(statistic - theirs.statistic) <= 1 / min(rows, kept.values) + 1e-12
    assert p >= theirs.pvalue - 1e-12


@given(COUNTS)
def test_jensen_shannon_is_scipys(counts: tuple[list[int], list[int]]) -> None:
    before, after = (np.array(one, dtype="float64") for one in counts)
    assume(before.sum() and after.sum())
    found = jensen_shannon(before, after)
    assert found == pytest.approx(np.nan_to_num(jensenshannon(before, after)), abs=1e-7)
    assert 0 <= found <= math.sqrt(math.log(2)) + 1e-12
    assert jensen_shannon(before, before * 3) == pytest.approx(0, abs=1e-7)


@given(COUNTS)
def test_chi_squared_is_scipys(counts: tuple[list[int], list[int]]) -> None:
    before, after = (np.array(one, dtype="float64") for one in counts)
    assume(before.sum() and after.sum())
    expected, seen = merged(before, after)
    if len(seen) > 1 and expected[-1] * seen.sum() / expected.sum() < 5:
        place = expected[:-1].argmin()
        for one in (expected, seen):
            one[place] += one[-1]
        expected, seen = expected[:-1], seen[:-1]
    table = np.array([expected, seen])[:, expected + seen > 0]
    found = chi_squared(*merged(before, after))
    if table.shape[1] < 2:
        assert found == (0, 1)
        return
    theirs = chi2_contingency(table, correction=False)
    assert found == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-12)


@given(COUNTS)
def test_rare_levels_are_one_whatever_the_window_has(counts: tuple[list[int], list[int]]) -> None:
    before, after = (np.array(one, dtype="float64") for one in counts)
    assume(before.sum() and after.sum())
    expected, seen = merged(before, after)
    assert (expected.sum(), seen.sum()) == (before.sum(), after.sum())
    assert np.all(expected[:-1] * after.sum() / before.sum() >= 5)
    assert np.array_equal(expected, merged(before, np.roll(after, 1))[0])


@given(COUNTS)
def test_the_stability_index_by_its_formula(counts: tuple[list[int], list[int]]) -> None:
    before, after = counts
    bins, rows, seen = len(before), sum(before), sum(after)
    index = 0.0
    for one, other in zip(before, after, strict=True):
        p = (one + 0.5) / (rows + bins / 2)
        q = (other + p * bins / 2) / (seen + bins / 2)
        index += (q - p) * math.log(q / p)
    assert psi(np.array(before), np.array(after)) == pytest.approx(index, abs=1e-12)
    assert index >= -1e-12


@given(st.integers(3, 20), st.integers(50, 500))
def test_an_empty_bin_of_which_nothing_was_expected_is_no_change(bins: int, rows: int) -> None:
    before = np.array([10_000] * bins + [20])
    after = np.array([rows] * bins + [0])
    assert psi(before, after) < 0.005
    assert psi(before, np.array([rows] * bins + [rows])) > 0.1


@given(NUMBERS, st.lists(PLAIN, max_size=8, unique=True))
def test_values_are_counted_in_their_bins(values: list[float], edges: list[float]) -> None:
    edges = sorted(edges)
    found = binned(np.sort(values), np.array(edges))
    ends = [-math.inf, *edges, math.inf]
    direct = [sum(low <= v < high for v in values) for low, high in pairwise(ends)]
    assert found.tolist() == direct


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.999))
def test_holm_rejects_as_its_procedure_does(found: list[float], level: float) -> None:
    rejected = 0
    for rank, p in enumerate(sorted(found)):
        if p * (len(found) - rank) >= level:
            break
        rejected += 1
    corrected = holm(found)
    assert sum(p < level for p in corrected) == rejected
    assert all(p <= c <= 1 for p, c in zip(found, corrected, strict=True))
    assert [c for _, c in sorted(zip(found, corrected, strict=True))] == sorted(corrected)


def test_a_million_values_have_scipys_distances() -> None:
    random = np.random.RandomState(0)
    before, after = random.gamma(2, size=1000), random.gamma(2.1, size=1_000_000)
    ordered = np.sort(after)
    statistic, p = kolmogorov_smirnov(*_sample(before.tolist()), ordered, 1000)
    theirs = ks_2samp(before, after, method="asymp")
    assert (statistic, p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    found = wasserstein(*_sample(before.tolist()), ordered, 1.0)
    assert found == pytest.approx(wasserstein_distance(before, after), rel=1e-9)
