"""Multiruns of `compile` and `run`: all points as one plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.locks import committed_lock, write_lock
from mlops_compile.api.running import failure, resources_of
from mlops_compile.api.sweep_runs import PointRun, run_points
from mlops_compile.api.sweeping import (
    Swept,
    compile_points,
    effects_of_sweep,
    expected_work,
)
from mlops_compile.cli.current import check_current
from mlops_compile.cli.documents import multirun_document, run_value, sweep_document
from mlops_compile.cli.front import Multirun
from mlops_compile.cli.leaderboard import leaderboard, leaderboard_csv
from mlops_compile.cli.patterns import sweep_rows
from mlops_compile.cli.point_progress import PointProgress
from mlops_compile.cli.problems import say_problems
from mlops_compile.cli.show import observer, table
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.origins import places_of
from mlops_compile.compiler.effects import Effect
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.criteria import primary_of
from mlops_compile.ir.problem import CompileError, ProblemsError, StoreError, UsageError, problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.sweep import Sweep
from mlops_compile.ir.value import Map, parse
from mlops_compile.present.board import Entry, folds_of, objective_of, told_apart
from mlops_compile.present.words import counted, duration
from mlops_compile.store.files import write_atomic

SWEEP_FILE, BOARD_FILE = "sweep.json", "leaderboard.csv"


def compile_multirun(call: Call, multirun: Multirun) -> int:
    """Compile all points to the lock of a sweep, and say what running it would do."""
    options = call.options
    if options.emit not in (None, "lock"):
        message = f"--emit {options.emit} prints one config's, and a multirun has many"
        hint = "leave -m out, or take --emit lock"
        raise UsageError([problem("usage", message, hint=hint)])
    swept = compile_points(
        [job.config for job in multirun.jobs],
        Path(),
        refresh=options.refresh,
        committed=committed_lock(options.file),
    )
    if swept.problems or swept.merged is None or swept.state is None:
        raise CompileError(swept.problems)
    sweep = swept.sweep
    if options.emit:
        print(sweep.text, end="", file=call.out)
        return 0
    if options.locked:
        check_current(sweep, options.file)
    changed = not options.locked and write_lock(sweep, options.file)
    found = effects_of_sweep(swept.merged, swept.state, swept.searches)
    expected = expected_work(found, swept.state)
    if options.json:
        print(sweep_document(sweep, options.file, found, expected), end="", file=call.out)
        return 0
    lines = [_head(sweep, found, expected), table(sweep_rows(found))]
    if (same := len(multirun.jobs) - len(sweep.points)) > 0:
        lines.append(f"{counted(same, 'point')} of the sweep came to the plan of another")
    lines.append(f"{options.file} {'written' if changed else 'unchanged'}")
    print("\n".join(lines), file=call.out)
    return 0


def _head(
    sweep: Sweep, found: Sequence[Effect], expected: tuple[float | None, float | None]
) -> str:
    counts = {
        name: sum(effect.effect == name for effect in found) for name in ("run", "maybe", "hit")
    }
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    points, steps = counted(len(sweep.points), "point"), counted(len(found), "distinct step")
    every = sum(len(point.lock.plan.steps) for point in sweep.points)
    head = f"sweep {sweep.digest[:12]}: {points}, {steps} of {every:,}: {listed}"
    least, most = expected
    if most:
        low = f"{duration(least)} to " if least is not None and least < most else ""
        head += f"\nabout {low}{duration(most)} of work, as earlier runs took"
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDone:
    """A point of a multirun that was run: its record, or why there is none."""

    entry: Entry
    run: PointRun | None
    exit_code: int


def run_multirun(call: Call, multirun: Multirun) -> int:
    """Run all points as one plan; the others go on where one fails."""
    options = call.options
    committed = committed_lock(Path(LOCK_FILE)) if options.locked else None
    configs = [job.config for job in multirun.jobs]
    swept = compile_points(configs, Path(), committed=committed)
    if options.locked:
        if swept.problems:
            raise CompileError(swept.problems)
        check_current(swept.sweep, Path(LOCK_FILE))
    directories = {n: multirun.make(job, n) for n, job in enumerate(swept.jobs)}
    refused = [n for n, point in enumerate(swept.points) if point.error is not None]
    say_problems(swept.problems, call.err)
    runs: dict[int, PointRun] = {}
    if swept.merged is not None and not (options.fail_fast and refused):
        if not options.quiet:
            head = _start(swept, multirun.directory)
            print(head, file=call.err)
        runs = _run(call, swept, multirun.directory, directories)
    done = [_done(n, swept, runs.get(n), directories[n]) for n in range(len(swept.points))]
    entries = [item.entry for item in done]
    for item in done:
        if item.run is not None and not item.run.record.ok:
            problems = failure(item.run.record).problems
            config = swept.points[item.entry.point].config
            say_problems(places_of(problems, config.composition), call.err)
    document = multirun_document(
        None if swept.merged is None else swept.sweep.digest,
        multirun.directory,
        entries,
        [_value(item, directories) for item in done],
    )
    _write(multirun.directory, document, entries, swept)
    if options.json:
        print(document, end="", file=call.out)
    else:
        print(_summary(done, multirun.directory), file=call.out)
    return max((item.exit_code for item in done), default=0)


def _run(
    call: Call, swept: Swept, directory: Path, directories: dict[int, Path]
) -> dict[int, PointRun]:
    assert swept.state is not None
    options, together, state = call.options, swept.together, swept.state
    execution = check_places(swept.points[0].config).execution
    good = [n for n, point in enumerate(swept.points) if point.lock is not None]
    plain = [n for n in good if n not in swept.alone]
    own = together.names if together is not None else ()
    names = {n: tuple(steps.values()) for n, steps in zip(plain, own, strict=True)}
    store = state.store

    def objective(point: int, result: StepResult) -> tuple[str, float] | None:
        lock = swept.points[point].lock
        metric = primary_of(lock) if lock else ""
        try:
            text = store.blobs.read(result.output("metrics")).read_bytes()
        except (StoreError, OSError, KeyError):
            return None  # the end of the run tells of it
        value = parse(text)
        found = objective_of(value, metric) if isinstance(value, Map) else None
        return None if found is None else (metric, found)

    steps = [step.name for step in together.lock.plan.steps] if together is not None else []
    told = PointProgress(
        observer(call.err, options.quiet, steps),
        names,
        told_apart({n: swept.points[n].overrides for n in good}),
        objective,
    )
    resources = resources_of(execution, options.jobs)
    try:
        with told:
            found = run_points(
                *(swept, Path(), directory, directories, told, resources),
                fail_fast=options.fail_fast,
            )
    finally:
        store.close()
    return {item.number: item for item in found}


def _start(swept: Swept, directory: Path) -> str:
    assert swept.merged is not None
    points, steps = len(swept.points), len(swept.merged.lock.plan.steps)
    counts = f"{counted(points, 'point')}, {counted(steps, 'distinct step')}"
    return f"sweep of {counts} -> {shown(directory)}"


def _done(number: int, swept: Swept, run: PointRun | None, directory: Path) -> PointDone:
    point, place = swept.points[number], shown(directory)
    if run is None:
        error: ProblemsError | None = point.error
        entry = Entry(
            point=number,
            overrides=point.overrides,
            status="failed" if error else "skipped",
            directory=place,
            error=str(error) if error else "another point failed (--fail-fast)",
        )
        return PointDone(entry=entry, run=None, exit_code=error.exit_code if error else 0)
    record, metric = run.record, primary_of(run.record.lock)
    code = 0 if record.ok else failure(record).exit_code
    status = "ok" if record.ok else "failed" if _failed(record) else "skipped"
    entry = Entry(
        point=number,
        overrides=point.overrides,
        status=status,
        metric=metric,
        objective=objective_of(record.metrics, metric),
        folds=folds_of(record.metrics, metric),
        model=record.model,
        directory=place,
        error="; ".join(result.error for result in _failed(record)),
    )
    return PointDone(entry=entry, run=run, exit_code=code)


def _failed(record: RunRecord) -> list[StepResult]:
    return [result for result in record.results if result.status == "failed"]


def _value(done: PointDone, directories: dict[int, Path]) -> Map:
    """A point in the JSON document."""
    entry, run = done.entry, done.run
    directory = directories[entry.point]
    value = {} if run is None else dict(run_value(run.record, directory, run.bundle))
    value.pop("format", None)
    return Map(
        {
            **value,
            "point": entry.point,
            "overrides": entry.overrides,
            "status": entry.status,
            "directory": str(directory),
            "objective": entry.objective,
            "folds": entry.folds,
            "model": entry.model,
            "error": entry.error or None,
        }
    )


def _write(directory: Path, document: str, entries: Sequence[Entry], swept: Swept) -> None:
    """The documents of the sweep as a whole, beside the directories of its points."""
    texts = {SWEEP_FILE: document, BOARD_FILE: leaderboard_csv(entries)}
    if swept.merged is not None:
        texts[LOCK_FILE] = swept.sweep.text
    try:
        for name, text in texts.items():
            write_atomic(directory / name, text.encode("utf-8"))
    except OSError as error:
        message = f"the directory {directory} cannot be written: {error.strerror or error}"
        hint = "make room; the results are in the store, and the same command writes them again"
        raise StoreError([problem("disk", message, hint=hint)]) from None


def _summary(done: Sequence[PointDone], directory: Path) -> str:
    entries = [item.entry for item in done]
    lines = [leaderboard(entries)]
    for item in done:
        entry = item.entry
        if entry.status == "failed":
            error = entry.error.splitlines()[0] if entry.error else ""
            lines.append(f"point {entry.point} failed: {' '.join(entry.overrides)}\n    {error}")
            results = _failed(item.run.record) if item.run else []
            lines += [f"    log of {r.step}: {shown(Path(r.log))}" for r in results if r.log]
    good = sum(entry.status == "ok" for entry in entries)
    bad = sum(entry.status == "failed" for entry in entries)
    skipped = len(entries) - good - bad
    told = [f"{good} of {counted(len(entries), 'point')} done"]
    told += [f"{bad} failed"] if bad else []
    told += [f"{skipped} left out"] if skipped else []
    again = "; the same command tries the rest again" if bad or skipped else ""
    lines.append(f"{', '.join(told)}{again}; see {shown(directory)}")
    return "\n".join(filter(None, lines))


def shown(directory: Path) -> str:
    """A path as people write it here."""
    try:
        return str(directory.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(directory)
