"""Decline: when a metric is said to be worse than it was on the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.metrics import METRICS

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# A band is made of so many rows at most: beyond them it is narrow enough to judge by.
MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric of a window, `value`, and the band from `low` to `high` in which it lies at a
    confidence."""

    metric: str
    value: float
    low: float
    high: float

    @property
    def band(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def declined(self, reference: float, worse: float) -> bool:
        """Whether all of the band is worse than in the reference, and the value by a share of it
        at least."""
        sign = 1 if METRICS[self.metric].greater_is_better else -1
        end = self.high if sign > 0 else self.low
        by = sign * (reference - self.value)
        return sign * (reference - end) > 0 and by >= worse * abs(reference)


def allowed(metric: str, reference: float, worse: float) -> float:
    """The value from which on a metric is worse by a share of what it was."""
    by = worse * abs(reference)
    return reference - by if METRICS[metric].greater_is_better else reference + by


def finding(
    kind: str,
    measured: Measured,
    reference: float,
    message: str,
    worse: float | None = None,
    feature: str | None = None,
) -> Finding:
    """What is told of a metric; an alert where it declined, unless `worse` is None: then it is told
    only."""
    alert = worse is not None and measured.declined(reference, worse)
    message += f"; {reference:.4g} on the test rows"
    return Finding(
        kind=kind,
        feature=feature,
        test=measured.metric,
        value=measured.value,
        low=measured.low,
        high=measured.high,
        threshold=None if worse is None else allowed(measured.metric, reference, worse),
        reference=reference,
        alert=alert,
        message=f"worse than allowed: {message}" if alert else message,
    )


def metrics_of(reference: Reference) -> dict[str, float]:
    """The metrics of the test rows, the primary one first."""
    held: dict[str, Any] = dict(reference.metrics)
    names = sorted(held, key=lambda name: (name != reference.primary, name))
    return {name: float(held[name]) for name in names if name in METRICS}


def options_of(reference: Reference) -> MetricOptions:
    options: dict[str, Any] = dict(reference.options)
    return MetricOptions(**options)


def evenly(rows: int, most: int = MOST_ROWS) -> Array:
    """So many places at most, evenly spaced."""
    if rows <= most:
        return np.arange(rows)
    return np.arange(most) * rows // most
