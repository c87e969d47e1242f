"""How things look on a terminal: tables, effects, progress."""

# rich is imported only where a terminal is written to: plain lines need nothing of it.

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from mlops_compile.cli.patterns import Endings
from mlops_compile.ir.value import Map, Value
from mlops_compile.present.words import counted, duration
from mlops_compile.steps.metrics import METRICS

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mlops_compile.execute.observer import Progress
    from mlops_compile.ir.plan import Step
    from mlops_compile.ir.record import StepResult

_LONG = 10  # seconds
_LINES = 5  # that a search is told in, where it is told in lines
_SEARCH = "search"
_LOG = logging.getLogger("mlops_compile")


def visible(text: str) -> str:
    """A text that cannot move the cursor; each character keeps its column."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else "?" for c in text)


def styled(lines: Sequence[tuple[str, str]], out: TextIO) -> None:
    """Print lines, each in its style where a terminal shows it."""
    if not out.isatty():
        print("\n".join(text for text, _ in lines), file=out)
        return
    from rich.console import Console

    console = Console(file=out, highlight=False, soft_wrap=True)
    for text, style in lines:
        console.print(text, style=style or None, markup=False)


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
    """A metric, in four digits; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def metrics_table(metrics: Map, evaluation: Map) -> str:
    """Metrics of the test part with their intervals, beside the baseline's, and the mean of the
    folds with its deviation."""
    test, baseline = metrics.get("test"), metrics.get("baseline")
    if not isinstance(test, Map) or not isinstance(baseline, Map):
        return ""
    intervals = evaluation.get("intervals")
    found = intervals.get("metrics") if isinstance(intervals, Map) else None
    rows = [["", "test", "baseline"]]
    rows += [[name, number(value), number(baseline.get(name))] for name, value in test.items()]
    if isinstance(intervals, Map) and isinstance(found, Map) and len(found):
        share = f"{float(str(intervals['level'])) * 100:g} % interval"
        ends = [share, *(_interval(found.get(name)) for name in test)]
        rows = [[row[0], row[1], end, row[2]] for row, end in zip(rows, ends, strict=True)]
    folds = _folds(metrics.get("folds"), test)
    return table([[*row, *cells] for row, cells in zip(rows, folds, strict=True)])


def _folds(folds: Value, test: Map) -> list[tuple[str, ...]]:
    """A column of the folds, where there are any."""
    held = folds if isinstance(folds, Map) else Map()
    mean, deviation, each = (held.get(name) for name in ("mean", "deviation", "each"))
    if not (isinstance(mean, Map) and isinstance(deviation, Map) and isinstance(each, tuple)):
        return [()] * (len(test) + 1)
    cells = [f"{number(mean.get(name))} ± {number(deviation.get(name))}" for name in test]
    return [(f"{len(each)} folds",), *((cell,) for cell in cells)]


def _interval(value: Value) -> str:
    if not isinstance(value, Map):
        return "-"
    return f"{number(value['low'])} to {number(value['high'])}"


def worst_levels(evaluation: Map, primary: str) -> list[str]:
    """For each segment, its level that does worst by the primary metric."""
    segments, lines = evaluation.get("segments"), []
    for column, facts in segments.items() if isinstance(segments, Map) and primary else ():
        levels = facts["levels"] if isinstance(facts, Map) else None
        scores: list[tuple[float, str, Value]] = []
        for level, own in levels.items() if isinstance(levels, Map) else ():
            assert isinstance(own, Map) and isinstance(own["metrics"], Map)
            if isinstance(score := own["metrics"].get(primary), float):
                scores.append((score, level, own["rows"]))
        if len(scores) > 1:
            pick = min if METRICS[primary].greater_is_better else max
            score, level, rows = pick(scores, key=lambda item: item[0])
            told = f"{visible(column)} {visible(level)}: {number(score)} of {rows} rows"
            lines.append(f"  worst {primary} by {told}")
    return lines


class Lines:
    """Progress in plain lines: one a step, as it ends."""

    def __init__(self, err: TextIO, endings: Endings, quiet: bool = False) -> None:
        self._err = err
        self._endings = endings
        self._quiet = quiet
        self._told = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def started(self, step: Step, seconds: float | None) -> None:
        """A step that takes long is told when it begins, so that nobody waits without knowing."""
        if seconds is not None and seconds >= _LONG:
            self._say(f"{step.name:<{self._endings.width}} started, about {duration(seconds)}")

    def waiting(self, step: Step) -> None:
        self._say(f"{step.name}: another run makes it; waiting for that")

    def noted(self, step: Step, message: str) -> None:
        _LOG.warning("%s: %s", step.name, message)
        if "\n" not in message:
            self._say(f"{step.name}: {message}")

    def finished(self, result: StepResult) -> None:
        _LOG.info(self._endings.line(result))
        for line in self._endings.lines(result):
            self._say(line)

    def expected(self, steps: int, seconds: float | None) -> None:
        """Plain lines say what has happened."""

    def searched(self, progress: Progress) -> None:
        """A line now and then, as trials end."""
        least = min(self._told + max(1, progress.trials // _LINES), progress.trials)
        if progress.ended >= least and progress.ended > self._told:
            self._told = progress.ended
            self._say(trials_line(replace(progress, running=0)))

    def aside(self, text: str) -> None:
        """As above."""

    def said(self, text: str) -> None:
        """A line of its own."""
        self._say(text)

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(f"  {text}", file=self._err, flush=True)


class Live:
    """Progress on a terminal: a moving line for each step that runs, and how much is left."""

    def __init__(self, err: TextIO, endings: Endings) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._endings = endings
        self._console = Console(file=err, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._left = ""
        self._aside = ""

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, step: Step, seconds: float | None) -> None:
        self._end(step.name)
        about = f"  about {duration(seconds)}" if seconds is not None else ""
        text = f"{step.name}{about}{self._left}{self._aside}"
        self._tasks[step.name] = self._progress.add_task(text, total=None)

    def waiting(self, step: Step) -> None:
        text = f"{step.name}: another run makes it"
        self._tasks[step.name] = self._progress.add_task(text, total=None)

    def noted(self, step: Step, message: str) -> None:
        _LOG.warning("%s: %s", step.name, message)
        if "\n" not in message:
            self._console.print(f"  {step.name}: {message}", style="yellow", markup=False)

    def finished(self, result: StepResult) -> None:
        self._end(result.step)
        _LOG.info(self._endings.line(result))
        style = {"ran": "green", "hit": "dim", "failed": "bold red", "skipped": "yellow"}
        for line in self._endings.lines(result):
            self._console.print(f"  {line}", style=style[result.status], markup=False)

    def expected(self, steps: int, seconds: float | None) -> None:
        about = "" if seconds is None else f", about {duration(seconds)}"
        self._left = f"  ({steps} {'step' if steps == 1 else 'steps'} left{about})" if steps else ""

    def searched(self, progress: Progress) -> None:
        if progress.ended == progress.trials:
            self._end(_SEARCH)
        elif _SEARCH in self._tasks:
            self._progress.update(self._tasks[_SEARCH], description=trials_line(progress))
        else:
            self._tasks[_SEARCH] = self._progress.add_task(trials_line(progress), total=None)

    def aside(self, text: str) -> None:
        """What stands behind each moving line from now on."""
        self._aside = f"  ({text})" if text else ""

    def said(self, text: str) -> None:
        """A line of its own."""
        self._console.print(f"  {text}", markup=False)

    def _end(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


def trials_line(progress: Progress) -> str:
    """`search: 16 of 40 trials, 2 running, 1 failed, best 0.9261 (trial 7), about 2 min 5 s`."""
    parts = [f"search: {progress.ended} of {counted(progress.trials, 'trial')}"]
    parts += [f"{progress.running} running"] if progress.running else []
    parts += [f"{progress.failed} failed"] if progress.failed else []
    if progress.best is not None:
        number_, objective = progress.best
        parts.append(f"best {number(objective)} (trial {number_})")
    if progress.seconds and progress.ended < progress.trials:
        parts.append(f"about {duration(progress.seconds)}")
    return ", ".join(parts)


def size(count: float) -> str:
    """Bytes: `812 B`, `3.4 MiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1023.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def observer(err: TextIO, quiet: bool, names: Sequence[str] = ()) -> Lines | Live:
    """Progress of steps of these names, as fits where it is written."""
    endings = Endings(names)
    if quiet or not err.isatty():
        return Lines(err, endings, quiet)
    return Live(err, endings)
