"""The page of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mlops_compile.ir.record import StepResult
from mlops_compile.ir.value import Value
from mlops_compile.present.bars import bars
from mlops_compile.present.blocks import (
    MOST_ROWS,
    Block,
    Cell,
    Figure,
    Link,
    Page,
    Section,
    Table,
    Text,
)
from mlops_compile.present.board import SEED, Line, key_of, lines, shared_by_all
from mlops_compile.present.facts import Point, Sweep
from mlops_compile.present.measured import metrics_section
from mlops_compile.present.run_page import judged_sections
from mlops_compile.present.steps import log_place, plan_figure
from mlops_compile.present.tried import Tried, Try, axes_of_values
from mlops_compile.present.trying import parallel, slices
from mlops_compile.present.words import (
    counted,
    error_text,
    memory_text,
    number,
    seconds_text,
    visible,
)
from mlops_compile.steps.metrics import METRICS

_DIGITS = 12
_DIFFER = "overrides that differ"
_MOST_POINTS = 1000  # that are listed
_MOST_SHOWN = 20  # lines and failures that stand open
_MOST_LINKS = 5  # in a line of the leaderboard


def sweep_page(sweep: Sweep) -> Page:
    """All that is told of a sweep: its board, what differs, what failed, and its best point."""
    found = [_failures(sweep), _board(sweep), _varied(sweep), _work(sweep), *_best(sweep)]
    found.append(_points(sweep))
    bad = any(point.entry.status != "ok" for point in sweep.points)
    return Page(
        title=f"Sweep of {counted(len(sweep.points), 'point')}",
        status="failed" if bad else "ok",
        summary=_summary(sweep),
        facts=tuple(_facts(sweep)),
        sections=tuple(section for section in found if section is not None),
    )


def _lines(sweep: Sweep) -> tuple[Line, ...]:
    return lines([point.entry for point in sweep.points])


def _shared(sweep: Sweep) -> frozenset[str]:
    return shared_by_all([point.entry.overrides for point in sweep.points])


def _own(overrides: Sequence[str], shared: frozenset[str]) -> str:
    return visible(" ".join(text for text in overrides if text not in shared)) or "-"


def _summary(sweep: Sweep) -> str:
    board = _lines(sweep)
    if not board:
        return "No point came to an objective."
    best = board[0]
    text = f"Best {best.metric} {_value(best)} on the test part"
    own = _own(best.overrides, _shared(sweep))
    return f"{text}: {own}" if own != "-" else text


def _value(line: Line) -> str:
    return number(line.value) + (f" ± {number(line.deviation, 2)}" if line.deviation else "")


def _facts(sweep: Sweep) -> Iterator[tuple[str, Cell]]:
    counts = Counter(point.entry.status for point in sweep.points)
    told = [f"{counts['ok']} done"]
    told += [f"{counts['failed']} failed"] if counts["failed"] else []
    told += [f"{counts['skipped']} left out"] if counts["skipped"] else []
    yield "Points", ", ".join(told)
    every = sum(len(point.results) for point in sweep.points)
    distinct = len(_distinct(sweep))
    if every:
        yield "Steps", f"{every:,} of all points, of which {distinct:,} differ"
    if sweep.best is not None:
        contract = sweep.best.record.lock.contract
        yield "Target", visible(contract.target)
        yield "Task", contract.task
    if sweep.plan:
        yield "Plan", sweep.plan[:_DIGITS]
    if sweep.began:
        yield "Begun", sweep.began
    if shared := sorted(_shared(sweep)):
        yield "All points have", visible(" ".join(shared))
    if sweep.secret.names:
        yield "Left out", f"{counted(len(sweep.secret.names), 'column')} marked sensitive"


def _board(sweep: Sweep) -> Section:
    board, shared = _lines(sweep), _shared(sweep)
    if not board:
        text = Text(text="No point came to an objective.", marked=True)
        return Section(name="board", title="Leaderboard", blocks=(text,))
    several = any(line.deviation is not None for line in board)
    rows: list[tuple[Cell, ...]] = []
    for place, line in enumerate(board[:MOST_ROWS], start=1):
        seeds = (str(len(line.points)),) if several else ()
        row = (str(place), line.metric, _value(line), *seeds, _linked(sweep, line.points))
        rows.append((*row, _own(line.overrides, shared)))
    note = ""
    if several:
        note = (
            "Points that differ in nothing but their seed are one line: mean ± standard deviation."
        )
        note += " A difference that is smaller than that says little."
    head = ("place", "metric", "value", *(("seeds",) if several else ()), "points", _DIFFER)
    best, others = tuple(rows[:_MOST_SHOWN]), tuple(rows[_MOST_SHOWN:])
    blocks = [Table(caption="The best first", head=head, rows=best, note=note)]
    if others:
        last = _MOST_SHOWN + len(others)
        listed = f"Places {_MOST_SHOWN + 1} to {last} of {len(board):,}"
        note = "leaderboard.csv has all." if last < len(board) else ""
        blocks.append(Table(caption=listed, head=head, rows=others, note=note, folded=True))
    return Section(name="board", title="Leaderboard", blocks=tuple(blocks))


def _linked(sweep: Sweep, points: Sequence[int]) -> tuple[Link, ...]:
    links = [Link(text=str(n), href=sweep.links[n]) for n in points[:_MOST_LINKS]]
    if len(points) > _MOST_LINKS:
        links.append(Link(text=f"and {len(points) - _MOST_LINKS} more", href="#points"))
    return tuple(links)


def _varied(sweep: Sweep) -> Section | None:
    """What differs between points, and what that does to the objective."""
    metrics = Counter(p.entry.metric for p in sweep.points if p.entry.objective is not None)
    if not metrics:
        return None
    metric = metrics.most_common(1)[0][0]
    tries = tuple(_try(point, metric) for point in sweep.points)
    axes = axes_of_values(tries)
    if any(axis.key != SEED for axis in axes):
        axes = tuple(axis for axis in axes if axis.key != SEED)
    if not axes:
        return None
    maximize = METRICS[metric].greater_is_better
    tried = Tried(what="point", metric=metric, maximize=maximize, tries=tries, axes=axes)
    blocks: list[Block] = [parallel(tried), *slices(tried)]
    if len(metrics) > 1:
        others = ", ".join(name for name in sorted(metrics) if name != metric)
        blocks.append(Text(text=f"Points that are judged by {others} are not drawn."))
    return Section(name="varied", title="What differs", blocks=tuple(blocks))


def _try(point: Point, metric: str) -> Try:
    entry = point.entry
    held = entry.objective if entry.metric == metric else None
    given = {key_of(text): _parsed(text.partition("=")[2]) for text in entry.overrides}
    return Try(name=str(entry.point), number=entry.point, values=given, objective=held)


def _parsed(text: str) -> Value:
    """The number that an override gives, or its text."""
    for sort in (int, float):
        try:
            return sort(text)
        except ValueError:
            continue
    return text


def _distinct(sweep: Sweep) -> dict[tuple[str, str], StepResult]:
    """Each step that points share once: by kind and key, or by itself where it has none."""
    found: dict[tuple[str, str], StepResult] = {}
    for point in sweep.points:
        for result in point.results:
            own = result.action or f"{point.entry.point}/{result.step}"
            found.setdefault((result.kind, own), result)
    return found


def _work(sweep: Sweep) -> Section | None:
    """Steps, time and memory by kind."""
    distinct = _distinct(sweep)
    if not distinct:
        return None
    every = Counter(result.kind for point in sweep.points for result in point.results)
    kinds: dict[str, list[StepResult]] = {}
    for (kind, _), result in distinct.items():
        kinds.setdefault(kind, []).append(result)
    rows = tuple(
        (
            kind,
            f"{every[kind]:,}",
            f"{len(held):,}",
            f"{sum(result.status == 'ran' for result in held):,}",
            seconds_text(sum(result.seconds for result in held if result.status == "ran")),
            memory_text(max(result.memory for result in held)),
        )
        for kind, held in kinds.items()
    )
    spent = {k: sum(r.seconds for r in held if r.status == "ran") for k, held in kinds.items()}
    whole = sum(spent.values())
    about = f"Seconds of the distinct steps that ran, by kind; {seconds_text(whole)} in all."
    head = ("kind", "of all points", "distinct", "ran", "time", "peak memory")
    table = Table(caption="Steps by kind", head=head, rows=rows)
    values = [(kind, round(seconds, 2)) for kind, seconds in spent.items()]
    figure = Figure(
        title="Time by kind of step", about=about, svg=bars(values, "seconds"), table=table
    )
    blocks: list[Block] = []
    if sweep.best is not None:
        blocks.append(plan_figure(sweep.best.record))
    return Section(name="plan", title="Plan and time", blocks=(*blocks, figure))


def _best(sweep: Sweep) -> Iterator[Section]:
    """What the best point's model was measured to be."""
    if sweep.best is None:
        return
    for section in (metrics_section(sweep.best), *judged_sections(sweep.best)):
        if section is not None:
            yield replace(section, title=f"{section.title} of point {sweep.best_point}, the best")


def _failures(sweep: Sweep) -> Section | None:
    failed = [point for point in sweep.points if point.entry.status == "failed"]
    if not failed:
        return None
    shared = _shared(sweep)
    rows: list[tuple[Cell, ...]] = []
    for point in failed[:MOST_ROWS]:
        entry = point.entry
        logs = [log_place(r.log) for r in point.results if r.status == "failed" and r.log]
        link = Link(text=str(entry.point), href=sweep.links[entry.point])
        told = (_own(entry.overrides, shared), error_text(entry.error), ", ".join(logs) or "-")
        rows.append((link, *told))
    note = "The same command tries them again."
    if len(failed) > MOST_ROWS:
        note = f"The first {MOST_ROWS} of {len(failed):,}; leaderboard.csv has all. {note}"
    head = ("point", _DIFFER, "error", "log")
    folded = len(rows) > _MOST_SHOWN
    table = Table(
        caption="Points that failed", head=head, rows=tuple(rows), note=note, folded=folded
    )
    count = Text(text=f"{counted(len(failed), 'point')} failed.", marked=True)
    return Section(name="failures", title="What went wrong", blocks=(count, table))


def _points(sweep: Sweep) -> Section:
    shared = _shared(sweep)
    rows = tuple(
        (
            Link(text=str(p.entry.point), href=sweep.links[p.entry.point]),
            p.entry.status,
            number(p.entry.objective),
            _own(p.entry.overrides, shared),
            (p.entry.model or "-")[:_DIGITS],
        )
        for p in sweep.points[:_MOST_POINTS]
    )
    note = "Links lead from this page's place to the directories of the points."
    if len(sweep.points) > _MOST_POINTS:
        note = (
            f"The first {_MOST_POINTS:,} of {len(sweep.points):,}; leaderboard.csv has all. {note}"
        )
    head = ("point", "status", "objective", _DIFFER, "model")
    listed = "Points" if len(sweep.points) > _MOST_POINTS else f"All {counted(len(rows), 'point')}"
    table = Table(caption=listed, head=head, rows=rows, note=note, folded=True)
    return Section(name="points", title="Points", blocks=(table,))
