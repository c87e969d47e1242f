"""Drift: which columns, answers and truths of a window are no longer as in the reference.

A column has drifted where a distance says that the change matters, and a test that it is no
accident: the p-values of all distributions of a window are corrected together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import ColumnReference, Reference
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
from mlops_compile.monitor.observed import Column, Window
from mlops_compile.monitor.words import moment, rows_of, share, short
from mlops_compile.steps.monitoring import Drift, Monitor

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_FEW_ROWS = 1000
# What decides of numbers and of levels; the second where the first cannot be computed.
_NUMBERS = {
    "auto": ("wasserstein", "jensen_shannon"),
    "wasserstein": ("wasserstein", "jensen_shannon"),
    "jensen_shannon": ("jensen_shannon",),
    "psi": ("psi",),
    "ks": ("ks",),
    "chi2": ("ks",),
}
_LEVELS = {
    "auto": "jensen_shannon",
    "wasserstein": "jensen_shannon",
    "jensen_shannon": "jensen_shannon",
    "psi": "psi",
    "ks": "chi2",
    "chi2": "chi2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """A distribution beside its reference: `values` of the tests, of which `test` has the p-value
    `p` (not corrected); what it is called, and the plainest change in words."""

    kind: str
    name: str
    feature: str | None
    rows: int
    test: str
    p: float
    values: Mapping[str, float]
    change: str


def drift(reference: Reference, window: Window, monitor: Monitor) -> list[Finding]:
    """What is found of each column, the data set, the score and the truth; nothing of those that
    are sensitive."""
    found: list[Finding] = []
    compared: list[_Compared] = []
    for kind, name, before, after in _pairs(reference, window, monitor.times):
        feature = before.name if kind == "drift" else None
        rows = _values(after)
        if before.sensitive:
            continue
        if rows < monitor.least_rows:
            why = f"it has {rows_of(rows)} with a value, and takes {monitor.least_rows}"
            found.append(_not_compared(kind, name, feature, why))
        elif before.rows == before.missing:
            why = "the data to learn from had no value of it"
            found.append(_not_compared(kind, name, feature, why))
        elif before.is_number:
            compared.append(_numbers(kind, name, feature, before, after))
        else:
            compared.append(_levels(kind, name, feature, before, after))
    drifted: list[bool] = []
    for one, p in zip(compared, holm([one.p for one in compared]), strict=True):
        told = list(_told(one, p, monitor.drift))
        found += told
        if one.kind == "drift":
            drifted.append(any(finding.alert for finding in told))
    if drifted:
        found.append(_dataset(drifted, monitor.drift.columns))
    return found


def _pairs(
    reference: Reference, window: Window, times: bool
) -> Iterator[tuple[str, str, ColumnReference, Column]]:
    for before, after in zip(reference.columns, window.columns, strict=True):
        if times or not before.is_time:
            yield "drift", before.name, before, after
    yield "score", "the score", reference.score, window.score
    labelled = window.truth[window.labelled]
    if len(labelled):
        name = f"the truth ({reference.target})"
        yield "truth", name, reference.truth, _truth(reference, labelled)


def _truth(reference: Reference, labelled: Array) -> Column:
    held: dict[str, Any] = {"numbers": labelled}
    if reference.classes:
        counts = np.bincount(labelled, minlength=len(reference.classes)).tolist()
        held = {"levels": dict(zip(reference.classes, counts, strict=True))}
    return Column(name=reference.target, rows=len(labelled), missing=0, **held)


def _values(column: Column) -> int:
    return len(column.numbers) or sum(column.levels.values())


def _numbers(
    kind: str, name: str, feature: str | None, before: ColumnReference, after: Column
) -> _Compared:
    sample = np.array(before.sample, dtype="float64").reshape(-1, 2)
    values, weights = sample[:, 0], sample[:, 1]
    ordered = np.sort(after.numbers)
    counts = np.array(before.counts, dtype="float64")
    bins = binned(ordered, np.array(before.edges))
    statistic, p = kolmogorov_smirnov(values, weights, ordered, before.rows - before.missing)
    found = {
        "psi": psi(counts, bins),
        "jensen_shannon": jensen_shannon(counts, bins),
        "ks": statistic,
    }
    if before.deviation is not None:
        found["wasserstein"] = wasserstein(values, weights, ordered, before.deviation)
    with np.errstate(over="ignore", invalid="ignore"):  # of infinities there is no mean
        means = (float(np.average(values, weights=weights)), float(ordered.mean()))
    shown = [moment(mean) if "datetime" in before.kind else f"{mean:.4g}" for mean in means]
    return _Compared(
        kind=kind,
        name=name,
        feature=feature,
        rows=before.rows,
        test="ks",
        p=p,
        values=found,
        change=f"mean {shown[0]} -> {shown[1]}",
    )


def _levels(
    kind: str, name: str, feature: str | None, before: ColumnReference, after: Column
) -> _Compared:
    names = [level for level, _ in before.levels]
    known = set(names)
    new = sum(rows for level, rows in after.levels.items() if level not in known)
    counts = np.array([*(rows for _, rows in before.levels), before.other or 0], dtype="float64")
    seen = np.array([*(after.levels.get(level, 0) for level in names), new], dtype="float64")
    expected, there = merged(counts, seen)
    statistic, p = chi_squared(expected, there)
    shares = np.stack([counts / counts.sum(), seen / seen.sum()])
    place = int(np.abs(shares[1] - shares[0]).argmax())
    level = short(names[place]) if place < len(names) else "other levels"
    was, now = shares[:, place]
    return _Compared(
        kind=kind,
        name=name,
        feature=feature,
        rows=before.rows,
        test="chi2",
        p=p,
        values={
            "psi": psi(expected, there),
            "jensen_shannon": jensen_shannon(expected, there),
            "chi2": statistic,
        },
        change=f"{level} {share(was)} -> {share(now)} of the rows",
    )


def _decides(one: _Compared, test: str) -> str:
    """The test that decides: as the config says, or the one that fits this column."""
    few = test == "auto" and one.rows <= _FEW_ROWS
    if one.test == "chi2":
        return _LEVELS["chi2" if few else test]
    return next(name for name in _NUMBERS["ks" if few else test] if name in one.values)


def _told(one: _Compared, p: float, asked: Drift) -> Iterator[Finding]:
    decides = _decides(one, asked.test)
    for test, value in one.values.items():
        threshold = None
        if test == decides and test != one.test:
            threshold = asked.psi if test == "psi" else asked.distance
        far = threshold is None or value >= threshold
        alert = test == decides and far and p < asked.significance
        measured = f"{test} {value:.4g}" + (" of a deviation" if test == "wasserstein" else "")
        if threshold is not None:
            measured += f" ({threshold:.4g} allowed)"
        if test == one.test:
            measured += f", p {p:.4g}"
        if test != decides:
            message = f"{one.name}: {measured}"
        elif alert:
            message = f"{one.name} drifted: {measured}, {one.change}"
        elif far and threshold is not None:
            message = f"{one.name} may differ by accident: {measured}, p {p:.4g}, {one.change}"
        else:
            message = f"{one.name} did not drift: {measured}, {one.change}"
        yield Finding(
            kind=one.kind,
            feature=one.feature,
            test=test,
            value=min(value, sys.float_info.max),  # a distance may be infinite, a report not
            threshold=threshold,
            p=p if test in (decides, one.test) else None,
            alert=alert,
            message=message,
        )


def _dataset(drifted: list[bool], threshold: float) -> Finding:
    found = sum(drifted) / len(drifted)
    return Finding(
        kind="dataset",
        test="share",
        value=found,
        threshold=threshold,
        alert=any(drifted) and found >= threshold,
        message=f"{sum(drifted)} of {len(drifted)} columns drifted: {share(found)}"
        f" ({share(threshold)} allowed)",
    )


def _not_compared(kind: str, name: str, feature: str | None, why: str) -> Finding:
    return Finding(
        kind=kind,
        feature=feature,
        test="rows",
        value=None,
        alert=False,
        message=f"{name} is not compared: {why}",
    )
