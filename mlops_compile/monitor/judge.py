"""Judge: all that is found in a window, and what of it is an alert."""

from __future__ import annotations

from dataclasses import replace

from mlops_compile.ir.finding import KINDS, Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.monitor.breaks import breaks, latency, volume
from mlops_compile.monitor.drift import drift
from mlops_compile.monitor.estimated import estimates
from mlops_compile.monitor.observed import Window
from mlops_compile.monitor.performance import performance, segments
from mlops_compile.steps.monitoring import Monitor


def findings(reference: Reference, window: Window, monitor: Monitor) -> tuple[Finding, ...]:
    """What is found, in the order of its kinds; an alert is only of a kind that the config names.
    Of a window without rows only its volume is told."""
    found = [volume(window, monitor)]
    if window.rows:
        found += breaks(reference, window, monitor)
        found += drift(reference, window, monitor)
        found += estimates(reference, window, monitor)
        found += performance(reference, window, monitor)
        found += segments(reference, window, monitor)
        found += latency(window, monitor)
    found.sort(key=lambda finding: KINDS.index(finding.kind))
    return tuple(
        replace(finding, alert=finding.alert and finding.kind in monitor.alerts)
        for finding in found
    )
