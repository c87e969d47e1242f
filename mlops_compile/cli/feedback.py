"""`feedback`: what turned out to be true, from a file, by the ids of predictions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlops_compile.api.monitoring import asked_with, feed_back, quoted
from mlops_compile.cli.verb import Call
from mlops_compile.present.words import counted


def run(call: Call) -> int:
    """Put the outcomes into the service's log, all or none."""
    options = call.options
    own = [f"monitor.log={quoted(options.log)}"] if options.log else []
    asked = asked_with([*options.overrides, *own], Path())
    names = (options.id, options.truth, options.time)
    count = feed_back(asked, options.model, options.file, names, datetime.now(UTC))
    if count is None:
        print(f"{options.file} is in the log already", file=call.out)
    else:
        print(f"{counted(count, 'truth')} of {options.file} kept in {asked.log}", file=call.out)
    return 0
