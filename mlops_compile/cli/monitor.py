"""`monitor`: what a service's log and feedback tell of its model; an alert is exit 8."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlops_compile.api.monitoring import (
    Monitored,
    asked_with,
    looked,
    monitor,
    page_of,
    quoted,
)
from mlops_compile.api.writing import write_asked
from mlops_compile.cli.show import styled
from mlops_compile.cli.verb import Call
from mlops_compile.ir.value import pretty
from mlops_compile.present.monitored import monitor_markdown, monitor_text

ALERT = 8
_STYLES = {"head": "bold", "alert": "bold red", "plain": "", "soft": "dim"}


def run(call: Call) -> int:
    """Look at a window, and say what was found."""
    options = call.options
    own = [f"monitor.log={quoted(options.log)}"] if options.log else []
    asked = asked_with([*options.overrides, *own], Path())
    found = monitor(asked, options.model, options.until or datetime.now(UTC), options.since)
    if options.html:
        write_asked(page_of(found), options.html)
    _say(found, call)
    return ALERT if found.alert else 0


def _say(found: Monitored, call: Call) -> None:
    if call.options.format == "json":
        print(pretty(found.to_dict()), end="", file=call.out)
    elif call.options.format == "markdown":
        print(monitor_markdown(looked(found)), end="", file=call.out)
    else:
        lines = [(text, _STYLES[how]) for how, text in monitor_text(looked(found))]
        styled(lines, call.out)
