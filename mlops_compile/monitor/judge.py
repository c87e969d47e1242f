"""Judge: all that is found in a window, and what of it is an alert."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mlops_compile.ir.finding import KINDS, Finding
from mlops_compile.ir.reference import Reference
from mlops_compile.monitor.breaks import breaks, latency, volume
from mlops_compile.monitor.drift import drift
from mlops_compile.monitor.estimated import estimates
from mlops_compile.monitor.observed import Window
from mlops_compile.monitor.performance import performance, segments
from mlops_compile.steps.monitoring import Monitor

# The longest first.
_PARTS = (estimates, performance, segments, drift, breaks)


def findings(reference: Reference, window: Window, monitor: Monitor) -> tuple[Finding, ...]:
    """What is found, in the order of its kinds; an alert is only of a kind that the config names.
    Of a window without rows only its volume is told."""
    found = [volume(window, monitor)]
    if window.rows:
        with ThreadPoolExecutor(2) as pool:  # numpy lets the other one work
            for some in pool.map(lambda of: [*of(reference, window, monitor)], _PARTS):
                found += some
        found += latency(window, monitor)
    found.sort(key=lambda finding: KINDS.index(finding.kind))
    return tuple(
        replace(finding, alert=finding.alert and finding.kind in monitor.alerts)
        for finding in found
    )
