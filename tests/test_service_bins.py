"""What a service counts by bins of its reference, and the drift that it tells of the latest."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.emit.bins import MISSING, OTHER, bins
from mlops_compile.emit.reference import levels_reference, numbers_reference
from mlops_compile.emit.render import environment
from mlops_compile.ir.reference import SCORE, ColumnReference
from mlops_compile.ir.serving import Bins
from mlops_compile.monitor.distances import psi
from mlops_compile.steps.monitoring import Kept
from tests.bundles import FLAG, LEVEL, LEVELS, NUMBER, TIME
from tests.serving import EXAMPLE, REFERENCE, Running, people, write
from tests.specs import spec_of

EPOCH = datetime(1970, 1, 1)
TEXTS = st.sampled_from(["", "a", "(missing)", "(other)", "=", "=(missing)", "ä\n", "x" * 101])
NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, float("nan")])


def generated(found: Bins) -> ModuleType:
    """The module that counts these bins of `record.c0`."""
    spec = people()
    spec = replace(spec, served=replace(spec.served, bins=(found,)))
    module = ModuleType("bins")
    exec(environment().get_template("service/bins.py.jinja").render(spec=spec), module.__dict__)
    return module


def counted(found: Bins, values: list[Any]) -> dict[str, int]:
    """How many values the generated code counts in each bin."""
    module, counts = generated(found), [0.0] * len(found.names)
    for value in values:
        module.count(SimpleNamespace(c0=value), {}, counts)
    assert {found.name: list(found.names)} == module.BINS
    assert {found.name: list(found.shares)} == module.SHARES
    return dict(zip(found.names, map(int, counts), strict=True))


def smooth(counts: list[int]) -> list[float]:
    return [(count + 0.5) / (sum(counts) + len(counts) / 2) for count in counts]


@settings(max_examples=40)
@given(st.lists(NUMBERS, max_size=60), st.integers(2, 12), st.booleans())
def test_numbers_and_times_are_counted_as_the_reference_has_them(
    values: list[float], most: int, is_time: bool
) -> None:
    kind = "datetime" if is_time else "numeric"
    before = numbers_reference(
        "x", kind, np.array(values, dtype="float64").round(5), Kept(bins=most)
    )
    found = bins(before, "c0")
    given_: list[Any] = [None if value != value else round(value, 5) for value in values]
    if is_time:
        given_ = [None if v is None else EPOCH + timedelta(seconds=v) for v in given_]
    counts = counted(found, given_)
    assert counts.pop(MISSING) == before.missing
    expected = list(before.counts) or [0]
    assert [*counts.values()] == expected
    assert list(found.shares[:-1]) == pytest.approx(smooth(expected))


@settings(max_examples=40)
@given(st.lists(st.none() | TEXTS | st.integers(0, 30).map(str), max_size=80), st.integers(1, 30))
def test_levels_are_counted_as_the_reference_has_them(values: list[str | None], most: int) -> None:
    """Each of the most frequent has a bin, whatever it is called; all others share one."""
    before = levels_reference("x", "categorical", pa.array(values, pa.string()), Kept(levels=most))
    found = bins(before, "c0")
    counts = counted(found, values)
    assert len(counts) == len(found.names) <= 22
    assert counts.pop(MISSING) == values.count(None)
    rows = Counter(value for value in values if value is not None)
    assert counts.pop(OTHER) == sum(n for level, n in rows.items() if level not in found.levels)
    assert [*counts.values()] == [rows[level] for level in found.levels]
    assert "x" * 101 not in found.levels and sum(found.shares[:-1]) == pytest.approx(1)


def test_of_a_sensitive_column_missing_values_alone_are_told() -> None:
    hidden = ColumnReference(name="x", kind="numeric", rows=8, missing=2, sensitive=True)
    found = bins(hidden, "c0")
    assert (found.names, found.shares, found.is_counted) == ((MISSING,), (0.25,), False)
    module = generated(found)
    module.count(SimpleNamespace(c0=1.0), {}, [])
    assert module.BINS == {} and module.SHARES == {"x": [0.25]}


SAMPLE = re.compile(r'(\w+)\{column="((?:[^"\\]|\\.)*)"(?:,bin="((?:[^"\\]|\\.)*)")?\}')


def told(running: Running, family: str) -> dict[tuple[str, str], float]:
    """The samples of a family by column and bin, as Prometheus reads them."""
    found = {}
    for sample, value in running.metrics().items():
        match = SAMPLE.fullmatch(sample)
        if match and match[1] == family:
            column, name = (plain(text or "") for text in match.group(2, 3))
            found[column, name] = value
    return found


def plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield write(people(), tmp_path_factory.mktemp("bins") / "bundle")


def test_values_are_counted_by_column_and_bin(bundle: Path) -> None:
    with Running(bundle) as running:
        shares = told(running, "mlops_reference_share")
        for one in people().served.bins:
            assert [shares[one.name, name] for name in one.names] == list(one.shares)
        odd = {"age": 30.0, "from": "2019-12-31T23:59:59Z", "job": "pilot", "paid": False}
        answers = running.predict([EXAMPLE, odd, {"age": -1e300, "paid": True}]).json()
        found = {key: n for key, n in told(running, "mlops_values_total").items() if n}
        scores = Counter(
            "(-inf, 0.25)" if one["probability"] < 0.25 else "[0.5, inf)"
            for one in answers["predictions"]
        )
        assert found == {
            ("age", "(-inf, 30)"): 1,
            ("age", "[30, 45.5)"): 2,
            ("from", "(-inf, 2020-01-01T00:00:00)"): 1,
            ("from", "[2020-01-01T00:00:00, inf)"): 1,
            ("from", MISSING): 1,
            ("job", "cook"): 1,
            ("job", OTHER): 1,
            ("job", MISSING): 1,
            ("paid", "true"): 2,
            ("paid", "false"): 1,
            **{(SCORE, name): count for name, count in scores.items()},
        }


def test_drift_is_that_of_the_latest_values(bundle: Path) -> None:
    """It is what `monitor` computes of them, and forgets what was before."""
    with Running(bundle) as running:
        assert {*told(running, "mlops_drift_psi").values()} == {0.0}
        old = {**EXAMPLE, "age": 80.0}
        for _ in range(5):
            assert running.predict([old] * 1000).status_code == 200
        before = np.array(REFERENCE[0].counts)
        index = psi(before, np.array([0, 0, 5000]))
        assert told(running, "mlops_drift_psi")["age", ""] == pytest.approx(index)
        alike = [{**EXAMPLE, "age": age} for age in (20.0, 31.0, 45.0, 46.0) for _ in range(250)]
        for _ in range(10):
            assert running.predict(alike).status_code == 200
        assert told(running, "mlops_drift_psi")["age", ""] == pytest.approx(0, abs=1e-4)
        assert 5000 <= told(running, "mlops_drift_values")["age", ""] <= 10_000
        assert told(running, "mlops_values_total")["age", "[45.5, inf)"] == 7500


def test_processes_are_told_together(bundle: Path) -> None:
    """All are counted; in the window is what those count that live."""
    with Running(bundle, "--workers", "2") as running:
        for _ in range(40):
            running.client.close()  # the next connection may be another's
            running.client = type(running.client)(base_url=running.url, trust_env=False)
            assert running.predict([EXAMPLE] * 5).status_code == 200
        assert told(running, "mlops_drift_values")["paid", ""] == 200
        index = psi(np.array([300, 100, 0]), np.array([200, 0, 0]))
        assert told(running, "mlops_drift_psi")["paid", ""] == pytest.approx(index)
        running.client.close()
        for process in children(running.process.pid):
            os.kill(process, signal.SIGKILL)
        running.client = type(running.client)(base_url=running.url, trust_env=False, timeout=60)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            running.wait_until_ready()
            if not told(running, "mlops_drift_values")["paid", ""]:
                break
        assert told(running, "mlops_values_total")["paid", "true"] == 200


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in text.split()]


def test_labels_are_texts_whatever_they_are(tmp_path: Path) -> None:
    with Running(write(spec_of("http"), tmp_path / "bundle")) as running:
        example = {NUMBER: 1.0, TIME: "2024-01-31T12:00:00", FLAG: True, LEVEL: LEVELS[-1]}
        assert running.predict(example).status_code == 200
        found = told(running, "mlops_values_total")
        assert {column for column, _ in found} == {NUMBER, TIME, FLAG, LEVEL, SCORE}
        assert found[LEVEL, LEVELS[-1]] == 1
        assert {name for column, name in found if column == LEVEL} == {*LEVELS, OTHER, MISSING}
