"""Breaks: what is broken is told with its share, and is an alert where it is no accident."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from mlops_compile.ir.finding import KINDS, Finding
from mlops_compile.monitor.breaks import breaks, latency, volume
from mlops_compile.monitor.judge import findings
from mlops_compile.steps.monitoring import Breaks, Kept, Monitor
from tests.monitoring import Values, column, reference_of, window_of

MONITOR = Monitor()


def _numbers(rows: int, missing: int) -> Values:
    return np.where(np.arange(rows) < missing, np.nan, np.linspace(0, 1, rows))


def _found(kind: str, found: list[Finding]) -> Finding:
    (one,) = [finding for finding in found if finding.kind == kind]
    return one


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_missing_is_fishers_exact_test_beside_a_share(rows: int, seen: int, data: Any) -> None:
    before = data.draw(st.integers(0, rows))
    now = data.draw(st.integers(0, seen))
    reference = reference_of({"x": _numbers(rows, before)})
    found = breaks(reference, window_of({"x": _numbers(seen, now)}), MONITOR)
    told = _found("missing", found)
    table = [[now, seen - now], [before, rows - before]]
    others = [finding for finding in found if finding.kind in ("range", "unseen")]
    p = fisher_exact(table, alternative="greater").pvalue
    assert told.p is not None
    assert told.p >= p * (1 - 1e-9) and told.p <= p * (1 + len(others)) + 1e-9
    assert told.value == now / seen and told.reference == before / rows
    assert told.threshold == before / rows + 0.05
    grown = now / seen - before / rows
    assert told.alert == (grown >= 0.05 and told.p < 0.01)


@pytest.mark.parametrize(("missing", "alert"), [(0, False), (10, False), (11, False), (40, True)])
def test_a_few_more_missing_are_no_alert(missing: int, alert: bool) -> None:
    reference = reference_of({"x": _numbers(5000, 250)})
    found = _found("missing", breaks(reference, window_of({"x": _numbers(100, missing)}), MONITOR))
    assert found.alert == alert


def test_of_a_reference_with_missing_values_more_are_allowed() -> None:
    reference = reference_of({"x": _numbers(5000, 2500)})
    for missing, alert in ((2600, False), (2900, True)):
        window = window_of({"x": _numbers(5000, missing)})
        found = _found("missing", breaks(reference, window, MONITOR))
        assert found.alert == alert
    assert found.message == "x: 58 % of 5,000 rows are missing, 50 % in the data (5 % more allowed)"


def test_levels_that_the_data_had_not() -> None:
    reference = reference_of({"x": ["a", "b"] * 500})
    window = window_of({"x": ["a"] * 90 + ["c"] * 6 + ["d"] * 4})
    found = _found("unseen", breaks(reference, window, MONITOR))
    assert (found.value, found.alert, found.feature) == (0.1, True, "x")
    assert found.message == (
        "x: 10 % of 100 rows are levels that the data had not ('c', 'd') (2 % allowed)"
    )
    few = window_of({"x": ["a"] * 199 + ["c"]})
    assert not _found("unseen", breaks(reference, few, MONITOR)).alert


def test_where_not_all_levels_are_kept_none_is_unseen() -> None:
    values = [f"level {place}" for place in range(20)] * 10
    reference = reference_of({"x": values}, kept=Kept(levels=10))
    found = breaks(reference, window_of({"x": ["new"] * 300}), MONITOR)
    assert {finding.kind for finding in found} == {"type", "missing"}


def test_numbers_beyond_those_of_the_data() -> None:
    reference = reference_of({"x": np.linspace(0, 10, 2000)})
    values = np.concatenate([np.linspace(0, 10, 180), [-1.0, np.inf, 10.5] * 6])
    found = _found("range", breaks(reference, window_of({"x": values}), MONITOR))
    assert found.value == 18 / 198 and found.alert
    assert "beyond 0 to 10" in found.message
    within = breaks(reference, window_of({"x": np.linspace(0, 10, 180)}), MONITOR)
    assert _found("range", within).value == 0


def test_one_value_of_another_type_is_an_alert_unless_some_are_allowed() -> None:
    reference = reference_of({"x": np.linspace(0, 1, 500)})
    seen = (column("x", np.linspace(0, 1, 99), wrong=1),)
    for allowed, alert in ((0.0, True), (0.005, True), (0.02, False)):
        asked = replace(MONITOR, breaks=Breaks(type=allowed))
        found = _found("type", breaks(reference, window_of({}, seen=seen, rows=100), asked))
        assert (found.value, found.alert) == (0.01, alert)


def test_volume_has_two_ends_and_no_rows_are_always_told() -> None:
    window = window_of({}, rows=700)
    cases = {(None, None): False, (50, None): False, (150, None): True, (None, 150): False}
    cases |= {(None, 99): True, (50, 200): False}
    for (least, most), alert in cases.items():
        asked = replace(MONITOR, least_volume=least, most_volume=most)
        found = volume(window, asked)
        assert (found.value, found.alert) == (100, alert)
    assert volume(window, replace(MONITOR, most_volume=99)).message == (
        "700 rows in 7 days: 100 a day, more than 99"
    )
    reference = reference_of({"x": np.linspace(0, 1, 500)})
    empty = window_of({"x": np.empty(0)})
    for least, alert in ((None, False), (0, True), (1, True)):
        (told,) = findings(reference, empty, replace(MONITOR, least_volume=least))
        assert (told.kind, told.value, told.alert) == ("volume", 0, alert)


def test_latency_is_the_99th_percentile() -> None:
    seconds = np.array([0.001] * 980 + [0.5] * 20)
    for most, alert in ((None, False), (1.0, False), (0.1, True)):
        asked = replace(MONITOR, most_seconds=most)
        (found,) = latency(window_of({}, seconds=seconds, rows=1000), asked)
        assert (found.value, found.threshold, found.alert) == (0.5, most, alert)
    assert not [*latency(window_of({}, rows=5), MONITOR)]


def test_an_alert_is_only_of_a_kind_that_the_config_names() -> None:
    reference = reference_of({"x": np.linspace(0, 1, 1500), "y": ["a"] * 1500})
    seen = (column("x", np.linspace(8, 9, 700), wrong=300), column("y", ["b"] * 1000))
    asked = replace(MONITOR, most_volume=1, most_seconds=0.1)
    window = window_of({}, seen=seen, rows=1000, seconds=np.ones(1000))
    found = findings(reference, window, asked)
    assert [KINDS.index(f.kind) for f in found] == sorted(KINDS.index(f.kind) for f in found)
    every = {f.kind for f in found if f.alert}
    assert every == {"volume", "type", "range", "unseen", "drift", "dataset", "latency"}
    for kind in KINDS:
        few = findings(reference, window, replace(asked, alerts=(kind,)))
        assert {f.kind for f in few if f.alert} == every & {kind}
        assert [replace(f, alert=False) for f in few] == [replace(f, alert=False) for f in found]
