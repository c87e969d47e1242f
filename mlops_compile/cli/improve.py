"""`improve`: the next version of a model from what its service learned, if it is better."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mlops_compile.api.improving import improve
from mlops_compile.api.monitoring import quoted
from mlops_compile.cli.show import observer
from mlops_compile.cli.verb import Call
from mlops_compile.execute.observer import Observer
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import GateError
from mlops_compile.ir.value import pretty
from mlops_compile.present.improved import improved_text


def run(call: Call) -> int:
    """Look, and do what the config's `improve` says; 6 where a challenger does not meet gates."""
    options = call.options
    own = [f"monitor.log={quoted(options.log)}"] if options.log else []

    def told(lock: Lock) -> Observer:
        return observer(call.err, options.quiet, [step.name for step in lock.plan.steps])

    def waiting(file: Path) -> None:
        if not options.quiet:
            told = f"another improve of {options.name} is at work ({file} is locked)"
            print(f"{told}; waiting for that", file=call.err, flush=True)

    now = options.until or datetime.now(UTC)
    found = improve([*options.overrides, *own], options.name, Path(), now, told, waiting)
    if options.json:
        print(pretty(found.to_dict()), end="", file=call.out)
    else:
        print("\n".join(improved_text(found)), file=call.out)
    return GateError.exit_code if found.status == "gates" else 0
