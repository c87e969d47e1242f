"""Drift: what has changed is found in one window, and what has not is seldom said to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.monitor.drift import drift
from mlops_compile.monitor.judge import findings
from mlops_compile.steps.monitoring import TESTS, Drift, Monitor
from tests.monitoring import Values, column_reference, reference_of, window_of

Columns = dict[str, Values]
MONITOR = Monitor()
LEVELS = [f"level {place}" for place in range(12)]


def _world(random: np.random.RandomState, rows: int) -> Columns:
    """Ten columns: numbers of several shapes, levels in equal and in very unequal shares, some with
    missing values."""

    def some_missing(values: Any, share: float) -> Any:
        gone = random.uniform(size=rows) < share
        if isinstance(values, np.ndarray):
            return np.where(gone, np.nan, values)
        return [None if lost else value for value, lost in zip(values, gone, strict=True)]

    def levels(shares: Any) -> list[str]:
        return [LEVELS[place] for place in random.choice(len(shares), rows, p=shares)]

    unequal = 0.5 ** np.arange(1, 13)
    unequal[-1] = unequal[-2]
    return {
        "normal": random.normal(size=rows),
        "skewed": random.lognormal(sigma=1.5, size=rows),
        "whole": random.poisson(3, rows).astype("float64"),
        "mostly zero": np.where(random.uniform(size=rows) < 0.8, 0.0, random.gamma(2, size=rows)),
        "gaps": some_missing(random.normal(50, 9, rows), 0.2),
        "constant": np.full(rows, 7.0),
        "even": levels(np.full(6, 1 / 6)),
        "unequal": levels(unequal),
        "two": levels([0.97, 0.03]),
        "gaps in levels": some_missing(levels([0.5, 0.3, 0.2]), 0.1),
    }


def _alerts(found: tuple[Finding, ...] | list[Finding]) -> set[tuple[str, str | None]]:
    return {(finding.kind, finding.feature) for finding in found if finding.alert}


@pytest.fixture(scope="module")
def world() -> Reference:
    return reference_of(_world(np.random.RandomState(99), 20_000))


def test_a_stable_world_is_quiet_and_so_are_its_breaks(world: Reference) -> None:
    """Of 100 windows of 500 and 5,000 rows, fewer have an alert than a chance of twice the
    significance would give in all but one of 1,000 such runs."""
    found = [
        _alerts(findings(world, window_of(_world(np.random.RandomState(seed), rows)), MONITOR))
        for seed in range(50)
        for rows in (500, 5000)
    ]
    assert sum(map(bool, found)) <= 7, [alerts for alerts in found if alerts]


def test_the_p_values_of_all_columns_keep_their_level(world: Reference) -> None:
    """Without any distance to be reached, so that the p-value alone decides: at a level of 0.2 at
    most 2 x 10 of 50 windows and what chance adds have a column below it."""
    asked = replace(MONITOR, drift=Drift(distance=0, psi=0, significance=0.2))
    for rows in (500, 5000):
        windows = (window_of(_world(np.random.RandomState(seed), rows)) for seed in range(50))
        assert sum(any(f.alert for f in drift(world, w, asked)) for w in windows) <= 20


CHANGES: dict[str, tuple[Callable[[Columns], Any], str, str]] = {
    "half a deviation": (lambda c: c["normal"] + 0.5, "normal", "drift"),
    "half a deviation, fewer rows": (lambda c: c["gaps"] + 4.5, "gaps", "drift"),
    "another unit": (lambda c: c["skewed"] * 1000, "skewed", "drift"),
    "another unit, beyond": (lambda c: c["skewed"] * 1000, "skewed", "range"),
    "a constant that moved": (lambda c: c["constant"] + 1, "constant", "drift"),
    "a new level": (
        lambda c: ["new" if place % 20 == 0 else v for place, v in enumerate(c["even"])],
        "even",
        "unseen",
    ),
    "a level that is gone": (
        lambda c: ["level 1" if v == "level 0" else v for v in c["even"]],
        "even",
        "drift",
    ),
    "missing numbers": (
        lambda c: np.where(np.arange(len(c["normal"])) % 5 == 0, np.nan, c["normal"]),
        "normal",
        "missing",
    ),
    "missing levels": (
        lambda c: [None if place % 5 == 0 else v for place, v in enumerate(c["two"])],
        "two",
        "missing",
    ),
}


@pytest.mark.parametrize("rows", [500, 5000])
@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_found_in_one_window(world: Reference, change: str, rows: int) -> None:
    make, name, kind = CHANGES[change]
    for seed in range(5):
        columns = _world(np.random.RandomState(seed), rows)
        found = findings(world, window_of({**columns, name: make(columns)}), MONITOR)
        assert (kind, name) in _alerts(found)
        assert {feature for _, feature in _alerts(found)} == {name}


def test_values_are_those_of_scipy(world: Reference) -> None:
    columns = _world(np.random.RandomState(1), 800)
    before = column_reference("normal", _world(np.random.RandomState(99), 900)["normal"])
    reference = replace(world, columns=(before,))
    found = {f.test: f for f in drift(reference, window_of({"normal": columns["normal"]}), MONITOR)}
    values = np.array(before.sample)[:, 0]
    assert before.deviation is not None
    assert found["wasserstein"].value == pytest.approx(
        wasserstein_distance(values, columns["normal"]) / before.deviation
    )
    theirs = ks_2samp(values, columns["normal"], method="asymp")
    assert (found["ks"].value, found["ks"].p) == pytest.approx(tuple(theirs))
    assert set(found) == {"psi", "jensen_shannon", "wasserstein", "ks", "share", "rows"}


DECIDES = {
    "auto": ("wasserstein", "jensen_shannon"),
    "wasserstein": ("wasserstein", "jensen_shannon"),
    "jensen_shannon": ("jensen_shannon", "jensen_shannon"),
    "psi": ("psi", "psi"),
    "ks": ("ks", "chi2"),
    "chi2": ("ks", "chi2"),
}


@pytest.mark.parametrize("test", TESTS)
def test_the_config_says_which_test_decides(test: str) -> None:
    random = np.random.RandomState(0)
    reference = reference_of({"x": random.normal(size=1001), "y": LEVELS * 100})
    changed = {"x": random.normal(2, size=400), "y": ["level 3"] * 400}
    asked = replace(MONITOR, drift=Drift(test=test))
    found = [f for f in drift(reference, window_of(changed), asked) if f.kind == "drift"]
    assert [f.test for f in found if f.alert] == [*DECIDES[test]]
    judged = [f.test for f in found if f.threshold is not None]
    assert judged == [name for name in DECIDES[test] if name not in ("ks", "chi2")]


def test_of_few_rows_to_learn_from_a_p_value_decides() -> None:
    random = np.random.RandomState(0)
    reference = reference_of({"x": random.normal(size=1000), "y": (LEVELS * 100)[:1000]})
    changed = {"x": random.normal(2, size=400), "y": ["level 3"] * 400}
    assert [f.test for f in drift(reference, window_of(changed), MONITOR) if f.alert] == [
        "ks",
        "chi2",
        "share",
    ]


def test_a_distance_alone_is_no_alert() -> None:
    """200 rows of many levels are far from their reference by accident."""
    random = np.random.RandomState(3)
    names = [f"level {place}" for place in range(40)]
    reference = reference_of({"x": random.choice(names, 50_000).tolist()})
    found = drift(reference, window_of({"x": random.choice(names, 200).tolist()}), MONITOR)
    (judged,) = [f for f in found if f.kind == "drift" and f.threshold is not None]
    assert judged.value is not None and judged.value > 0.1 and not judged.alert
    assert "may differ by accident" in judged.message


def test_too_few_rows_are_told_and_not_compared(world: Reference) -> None:
    columns = _world(np.random.RandomState(0), 199)
    found = drift(world, window_of(columns), MONITOR)
    assert {f.feature for f in found if f.kind == "drift"} == {*columns}
    assert all(f.value is None and not f.alert and "not compared" in f.message for f in found)
    enough = _world(np.random.RandomState(0), 240)
    only = {f.feature for f in drift(world, window_of(enough), MONITOR) if f.value is None}
    assert "gaps" in only and "normal" not in only  # a fifth of its values is missing


def test_the_data_set_drifts_with_its_columns(world: Reference) -> None:
    columns = _world(np.random.RandomState(0), 500)
    numbers = [name for name, values in columns.items() if isinstance(values, np.ndarray)]
    for many, alert in ((4, False), (5, True)):
        moved = {
            name: np.asarray(values) * 3 + 5 if name in numbers[:many] else values
            for name, values in columns.items()
        }
        (found,) = [f for f in drift(world, window_of(moved), MONITOR) if f.kind == "dataset"]
        assert (found.value, found.threshold, found.alert) == (many / 10, 0.5, alert)
    assert found.message == "5 of 10 columns drifted: 50 % (50 % allowed)"


def test_scores_and_truths_drift_too() -> None:
    random = np.random.RandomState(0)

    def answers(rows: int, mean: float) -> tuple[Any, Any]:
        positive = 1 / (1 + np.exp(-random.normal(mean, size=rows)))
        truth = (random.uniform(size=rows) < positive).astype("int64")
        return np.column_stack([1 - positive, positive]), truth

    classes = ("no", "yes")
    reference = reference_of({}, *answers(5000, 0), classes)
    predicted, truth = answers(1000, 1)
    unlabelled = np.where(np.arange(1000) < 700, -1, truth)
    found = drift(reference, window_of({}, predicted, unlabelled, classes), MONITOR)
    assert _alerts(found) == {("score", None), ("truth", None)}
    told = next(f for f in found if f.alert and f.kind == "truth")
    assert told.message.startswith("the truth (target) drifted: jensen_shannon")
    few = drift(reference, window_of({}, predicted, np.where(truth == 1, -1, -1), classes), MONITOR)
    assert not [f for f in few if f.kind == "truth"]


def test_scores_and_truths_that_are_numbers_or_several_classes() -> None:
    random = np.random.RandomState(0)
    numbers = random.normal(size=3000)
    of_numbers = reference_of({}, numbers, numbers)
    moved = window_of({}, numbers[:800] + 1, np.where(numbers[:800] > 0, np.nan, numbers[:800]))
    assert _alerts(drift(of_numbers, moved, MONITOR)) == {("score", None), ("truth", None)}
    classes, shares = ("a", "b", "c"), random.dirichlet([1, 1, 1], 3000)
    of_classes = reference_of({}, shares, shares.argmax(axis=1), classes)
    same = window_of({}, shares[:1000], shares[:1000].argmax(axis=1), classes)
    assert not _alerts(drift(of_classes, same, MONITOR))
    turned = shares[:1000, [0, 1, 1]]
    other = drift(of_classes, window_of({}, turned, turned.argmax(axis=1), classes), MONITOR)
    assert _alerts(other) == {("score", None), ("truth", None)}


def test_nothing_is_told_of_what_a_sensitive_column_holds() -> None:
    random = np.random.RandomState(0)
    reference = reference_of({"x": random.normal(size=2000)})
    hidden = replace(
        reference,
        columns=(
            replace(
                reference.columns[0],
                sensitive=True,
                low=None,
                high=None,
                deviation=None,
                edges=(),
                counts=(),
                sample=(),
            ),
        ),
    )
    window = window_of({"x": np.where(np.arange(500) % 2, np.nan, 1e6)})
    found = [f for f in findings(hidden, window, MONITOR) if f.feature == "x"]
    assert {f.kind for f in found} == {"type", "missing"}
    assert _alerts(found) == {("missing", "x")}


def test_a_column_without_a_value_to_learn_from_is_told() -> None:
    reference = reference_of({"x": np.full(50, np.nan)})
    window = window_of({"x": np.zeros(500)})
    (found,) = [f for f in drift(reference, window, MONITOR) if f.feature == "x"]
    assert "no value" in found.message and not found.alert


def test_infinite_and_huge_numbers_are_told_in_numbers_that_a_report_can_hold() -> None:
    random = np.random.RandomState(0)
    reference = reference_of({"x": random.normal(size=5000)})
    for values in (np.full(500, np.inf), np.where(np.arange(500) % 2, np.inf, -np.inf), 1e300):
        window = window_of({"x": values * np.ones(500)})
        found = [f for f in findings(reference, window, MONITOR) if f.feature == "x"]
        assert all(f.value is not None and np.isfinite(f.value) for f in found)
        assert _alerts(found) == {("drift", "x"), ("range", "x")}


def test_messages_say_what_changed_in_figures(world: Reference) -> None:
    columns = _world(np.random.RandomState(0), 500)
    moved = {**columns, "normal": columns["normal"] + np.float64(2), "two": ["level 1"] * 500}
    told = {f.feature: f.message for f in drift(world, window_of(moved), MONITOR) if f.alert}
    assert told["normal"].startswith("normal drifted: wasserstein 1.9")
    assert "of a deviation (0.1 allowed), mean 0.01" in told["normal"]
    assert told["two"].startswith("two drifted: jensen_shannon 0.7")
    assert told["two"].endswith("% -> 0 % of the rows")
