"""Steps: a plan drawn, and how long its steps took and how much memory they needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from mlops_compile.ir.plan import Step
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.present.bars import bars
from mlops_compile.present.blocks import MOST_ROWS, Figure, Table
from mlops_compile.present.drawing import width_of
from mlops_compile.present.graph import Box, draw, drawn_as, edges_of
from mlops_compile.present.words import counted, error_text, memory_text, seconds_text, visible

_WORST = ("failed", "skipped", "ran", "hit")
_MOST_BARS = 20
_LOGS = "logs"
_NARROW = 350  # what a phone shows of a graph


def plan_figure(record: RunRecord) -> Figure:
    """The plan as a graph; what each step takes from stands in the table."""
    steps = record.lock.plan.steps
    results = {result.step: result for result in record.results}
    groups: dict[str, list[StepResult]] = {}
    counts: dict[str, int] = {}
    for step in steps:
        own = drawn_as(step.name)
        counts[own] = counts.get(own, 0) + 1
        groups.setdefault(own, [])
        if step.name in results:
            groups[own].append(results[step.name])
    boxes = {name: _box(name, held, counts[name], record) for name, held in groups.items()}
    rows = tuple(_inputs(step, results.get(step.name)) for step in steps[:MOST_ROWS])
    note = f"The first {MOST_ROWS} of {len(steps):,}." if len(steps) > MOST_ROWS else ""
    table = Table(caption="Steps and what they take from", head=("step", "status", "takes from"),
                  rows=rows, note=note)  # fmt: skip
    about = f"{counted(len(steps), 'step')} from top to bottom, each below what it takes from."
    if any(count > 1 for count in counts.values()):
        about += " The same step of every fold is drawn as one."
    if record.trials:
        about += " The trials of the search are drawn as one."
    about += " An arrow is left out where a longer way stands for it."
    svg = draw(boxes, edges_of(steps))
    wide = width_of(svg) > _NARROW
    return Figure(title="The plan", about=about, svg=svg, table=table, wide=wide)


def _box(name: str, held: list[StepResult], count: int, record: RunRecord) -> Box:
    found = {result.status for result in held}
    status = next((word for word in _WORST if word in found), "none")
    seconds = sum(result.seconds for result in held)
    line = {"ran": f"ran {seconds_text(seconds)}", "none": "not run"}.get(status, status)
    if name == "search" and record.trials:
        line = f"{counted(len(record.trials), 'trial')}, {line}"
    return Box(name=name if count == 1 else f"{name} × {count}", line=line, status=status)


def _inputs(step: Step, result: StepResult | None) -> tuple[str, str, str]:
    taken = ", ".join(dict.fromkeys(str(ref) for _, ref in step.inputs))
    return step.name, result.status if result else "not run", taken or "-"


def time_figure(results: Sequence[StepResult]) -> Figure:
    """Seconds of the steps that took longest, and of all of them in the table."""
    slow = sorted(results, key=lambda result: (-result.seconds, result.step))[:_MOST_BARS]
    names = {result.step for result in slow}
    shown = [(r.step, round(r.seconds, 3)) for r in results if r.step in names]
    whole = sum(result.seconds for result in results if result.status == "ran")
    most = max(results, key=lambda result: result.memory, default=None)
    about = f"Seconds of each step; {seconds_text(whole)} of work in this run."
    if len(results) > len(slow):
        about += f" The {len(slow)} longest of {len(results):,} steps."
    if most is not None and most.memory:
        about += f" Most memory: {memory_text(most.memory)} in {most.step}."
    rows = tuple(
        (r.step, r.status, seconds_text(r.seconds), memory_text(r.memory)) for r in results
    )
    note = "Time and memory of a step that was not made again (hit) are those of the earlier run."
    if len(rows) > MOST_ROWS:
        note = f"The first {MOST_ROWS} of {len(rows):,}; record.json has all. {note}"
    head = ("step", "status", "time", "peak memory")
    table = Table(caption="Steps", head=head, rows=rows[:MOST_ROWS], note=note)
    return Figure(title="Time per step", about=about, svg=bars(shown, "seconds"), table=table)


def failed_table(results: Sequence[StepResult]) -> Table | None:
    """What failed, with the error and the place of the log; None where all went well."""
    failed = [result for result in results if result.status == "failed"]
    if not failed:
        return None
    rows = tuple((r.step, error_text(r.error), log_place(r.log)) for r in failed[:MOST_ROWS])
    note = f"The first {MOST_ROWS} of {len(failed):,}." if len(failed) > MOST_ROWS else ""
    head = ("step", "error", "log")
    return Table(caption="Steps that failed", head=head, rows=rows, note=note)


def log_place(log: str) -> str:
    """Where a log is below the run's directory, wherever that is by now."""
    parts = PurePath(log).parts
    if _LOGS not in parts:
        return visible(log) or "-"
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(_LOGS) :])
