"""How things look on a terminal: tables, effects, progress."""

# rich is imported only where a terminal is written to: plain lines need nothing of it.

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO

from mlops_compile.ir.value import Map, Value

if TYPE_CHECKING:
    from mlops_compile.ir.plan import Step
    from mlops_compile.ir.record import StepResult

_LOG = logging.getLogger("mlops_compile")


def visible(text: str) -> str:
    """A text that cannot move the cursor; each character keeps its column."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else "?" for c in text)


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows in columns, padded with spaces."""
    if not rows:
        return ""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = (
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def number(value: Value) -> str:
    """A metric, in four digits."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def metrics_table(metrics: Map) -> str:
    """Metrics of the test part beside the baseline's."""
    test, baseline = metrics.get("test"), metrics.get("baseline")
    if not isinstance(test, Map) or not isinstance(baseline, Map):
        return ""
    rows = [("", "test", "baseline")]
    rows += [(name, number(value), number(baseline.get(name))) for name, value in test.items()]
    return table(rows)


class Lines:
    """Progress in plain lines: one a step that ran, and in the run's log one for every step."""

    def __init__(self, err: TextIO, quiet: bool = False) -> None:
        self._err = err
        self._quiet = quiet

    def started(self, step: Step) -> None:
        """Nothing to say yet."""

    def noted(self, step: Step, message: str) -> None:
        _LOG.warning("%s: %s", step.name, message)
        if not self._quiet and "\n" not in message:
            print(f"  {step.name}: {message}", file=self._err)

    def finished(self, result: StepResult) -> None:
        line = _line(result)
        _LOG.info(line)
        if not self._quiet:
            print(f"  {line}", file=self._err, flush=True)


class Live:
    """Progress on a terminal: the step that runs has a moving line with its time."""

    def __init__(self, err: TextIO) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(file=err, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._new = partial(Progress, *columns, console=self._console, transient=True)
        self._moving: Progress | None = None

    def started(self, step: Step) -> None:
        self._moving = self._new()
        self._moving.add_task(step.name, total=None)
        self._moving.start()

    def noted(self, step: Step, message: str) -> None:
        _LOG.warning("%s: %s", step.name, message)
        if "\n" not in message:
            self._console.print(f"  {step.name}: {message}", style="yellow", markup=False)

    def finished(self, result: StepResult) -> None:
        _LOG.info(_line(result))
        if self._moving is not None:
            self._moving.stop()
            self._moving = None
        style = {"ran": "green", "hit": "dim", "failed": "bold red", "skipped": "yellow"}
        self._console.print(f"  {_line(result)}", style=style[result.status], markup=False)


def _line(result: StepResult) -> str:
    seconds = f"{result.seconds:7.2f} s" if result.status in ("ran", "failed") else " " * 9
    text = f"{result.step:<10} {result.status:<8} {seconds}"
    return f"{text}  {result.error}".rstrip() if result.status == "skipped" else text.rstrip()


def observer(err: TextIO, quiet: bool) -> Lines | Live:
    """Progress as fits where it is written."""
    if quiet or not err.isatty():
        return Lines(err, quiet)
    return Live(err)
