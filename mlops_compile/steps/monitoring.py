"""The keys under `monitor`: where a service's log is, and what of it is an alert."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_compile.ir.finding import KINDS
from mlops_compile.ir.schema import group, key

WINDOW = re.compile(r"([1-9]\d{0,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
TESTS = ("auto", "psi", "jensen_shannon", "wasserstein", "ks", "chi2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`monitor.reference`: how much is kept of the data, in the bundle, to compare with."""

    bins: int = key("bins of numbers", default=10, low=2, high=100)
    values: int = key(
        "most values of a column of numbers: all where there are no more, else order statistics",
        default=1000,
        low=10,
    )
    levels: int = key("most levels of a column of texts", default=1000, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """`monitor.drift`: when a column is said to have changed: where a distance is reached, and is
    no accident."""

    test: str = key(
        "what decides: auto is wasserstein for numbers and jensen_shannon for levels, or ks and"
        " chi2 where the reference has at most 1,000 rows",
        default="auto",
        choices=TESTS,
    )
    distance: float = key(
        "wasserstein (in standard deviations of the reference) or jensen_shannon from which on a"
        " column has drifted",
        default=0.1,
        low=0,
    )
    psi: float = key("population stability index from which on it has", default=0.2, low=0)
    significance: float = key(
        "chance of a false alarm in all columns of a window together: p-values are corrected for"
        " their number (Holm)",
        default=0.01,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
    )
    columns: float = key(
        "share of the columns from which on the data set has drifted", default=0.5, low=0, high=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaks:
    """`monitor.breaks`: shares of rows from which on something is broken, beyond those of the
    reference."""

    missing: float = key("missing values, more than the reference has", default=0.05, low=0, high=1)
    unseen: float = key(
        "levels that the data had not, more than were to be expected", default=0.02, low=0, high=1
    )
    range: float = key("numbers and times beyond those of the data", default=0.02, low=0, high=1)
    type: float = key("values that are not of the column's type", default=0.0, low=0, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """`monitor.performance`: how much worse than on the test rows is an alert, by the primary
    metric."""

    worse: float = key(
        "share of the test rows' metric by which it must be worse", default=0.05, low=0
    )
    confidence: float = key(
        "confidence of the band that must lie wholly below",
        default=0.99,
        low=0.5,
        high=1,
        high_open=True,
    )
    segment_rows: int = key("labelled rows that a segment needs to be told", default=100, low=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """`monitor`: a service's log, looked at window by window."""

    log: str | None = key(
        "directory of the service's log and feedback: a path, or a URL that fsspec opens",
        default=None,
        filled=True,
        place=True,
    )
    window: str = key("the time that is looked at, up to now: 6h, 7d, 4w", default="7d")
    least_rows: int = key(
        "rows of a window from which on distributions are compared", default=200, low=10
    )
    times: bool = key(
        "whether times are compared with those of the data, as dates of birth may be; others move"
        " on",
        default=False,
    )
    reference: Kept = group("what is kept to compare with", Kept)
    drift: Drift = group("changes of distributions", Drift)
    breaks: Breaks = group("what is broken", Breaks)
    performance: Performance = group("how good the answers are", Performance)
    least_volume: float | None = key(
        "rows a day below which the volume is an alert", default=None, low=0
    )
    most_volume: float | None = key(
        "rows a day above which the volume is an alert", default=None, low=0
    )
    most_seconds: float | None = key(
        "seconds of an answer, at the 99th percentile, above which the latency is an alert",
        default=None,
        low=0,
    )
    most_errors: float = key(
        "share of the requests for answers that fail above which Prometheus' rules raise an alert",
        default=0.01,
        low=0,
        high=1,
    )
    alerts: tuple[str, ...] = key(
        "findings that are alerts where their threshold is reached; others are told only",
        default=KINDS,
        choices=KINDS,
    )


def seconds_of(window: str) -> int:
    """The length of a window. ValueError where the text is none."""
    match = WINDOW.fullmatch(window)
    if match is None:
        raise ValueError(f"{window!r} is no time, as 6h, 7d or 4w")
    return int(match[1]) * _SECONDS[match[2]]
