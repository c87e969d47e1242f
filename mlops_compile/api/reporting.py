"""Run directory in, page out: reads what a run or a sweep left, and hands it to `present`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import yaml

from mlops_compile.api.measured import unmet_gates
from mlops_compile.api.running import read_run
from mlops_compile.api.searching import search_step
from mlops_compile.api.writing import write_asked
from mlops_compile.compiler.searching import space_in
from mlops_compile.compiler.verify import config_of
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.lock import to_value
from mlops_compile.ir.lock_format import check_format
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.record import RECORD_FILE, StepResult, result_of
from mlops_compile.ir.value import Map, Value, parse
from mlops_compile.present.board import Entry, best_of, objective_of
from mlops_compile.present.facts import Point, Run, Sweep
from mlops_compile.present.page import render
from mlops_compile.present.run_page import run_page
from mlops_compile.present.secret import Secret
from mlops_compile.present.sweep_page import sweep_page

_SWEEP, _EVALUATION = "sweep.json", "evaluation.json"
_BEGAN = re.compile(r"(\d{4}-\d\d-\d\d)[/\\](\d\d)-(\d\d)-(\d\d)(?!\d)")


def report(run: str | Path, file: str | Path | None = None) -> str:
    """The page of a run or sweep, by its directory, as html; written to a file where one is named.

    The same directory gives the same page. Links to the points of a sweep lead from the file's
    place, or without one from the sweep's directory. CompileError where the directory is no run's,
    where what it holds is broken, or where the file cannot be written.
    """
    if file is not None:
        _check(Path(file))
    directory = Path(run)
    place = directory if file is None else Path(file).parent
    text = _page(directory, place)
    if file is not None:
        write_asked(text, Path(file))
    return text


def _page(directory: Path, place: Path) -> str:
    if (directory / RECORD_FILE).is_file():
        found = _run(directory)
        return render(run_page(found), found.secret)
    if (directory / _SWEEP).is_file():
        sweep = _sweep(directory, place)
    elif numbered := _numbered(directory):
        sweep = _launched(directory, numbered, place)
    else:
        message = f"{directory} is not the directory of a run or sweep that ended: it has neither"
        message += f" {RECORD_FILE} nor {_SWEEP}"
        hint = (
            "name one below outputs/ or multirun/; the same command takes up one that was cut off"
        )
        raise CompileError([problem("no-run", message, hint=hint)])
    return render(sweep_page(sweep), sweep.secret)


def _run(directory: Path) -> Run:
    record = read_run(directory)
    evaluation = _object(directory / _EVALUATION)
    searched = search_step(record.lock) is not None
    config = config_of(record.lock) if searched else Map()
    return Run(
        record=record,
        evaluation=evaluation,
        began=_began(directory),
        unmet=unmet_gates(record.lock, record.metrics, evaluation),
        space=space_in(config)[0] if searched else None,
        config=config,
        secret=Secret.of(to_value(record.lock)),
    )


def _sweep(directory: Path, place: Path) -> Sweep:
    """A sweep that was run as one plan."""
    file = directory / _SWEEP
    document = _object(file)
    check_format(document, str(file))
    try:
        points, places = _points(document)
    except (KeyError, ValueError, TypeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        hint = "run the sweep again to write a whole one"
        raise CompileError([problem("record", f"{file} is broken: {why}", hint=hint)]) from None
    best = best_of([point.entry for point in points])
    return Sweep(
        plan=str(document.get("plan") or ""),
        began=_time(str(document.get("directory", ""))),
        points=points,
        best_point=best,
        best=_best(directory, best, places),
        links=_links(directory, places, place),
        secret=Secret.of(_object(directory / LOCK_FILE)),
    )


def _points(document: Map) -> tuple[tuple[Point, ...], dict[int, str]]:
    """The points of a sweep's document, and their places below its directory."""
    metrics: dict[int, str] = {}
    for line in _list(document["leaderboard"]):
        metrics |= {number: str(line["metric"]) for number in _numbers(line["points"])}
    points, places = [], {}
    whole = str(document["directory"])
    for row in _list(document["points"]):
        (number,) = _numbers((row["point"],))
        objective, model = row.get("objective"), row.get("model")
        steps = row.get("steps", ())
        entry = Entry(
            point=number,
            overrides=_texts(row["overrides"]),
            status=str(row["status"]),
            metric=metrics.get(number, ""),
            objective=float(objective) if isinstance(objective, int | float) else None,
            model=None if model is None else str(model),
            error=str(row.get("error") or ""),
        )
        points.append(Point(entry=entry, results=_results(steps)))
        places[number] = os.path.relpath(str(row["directory"]), whole)
    return tuple(points), places


def _list(value: Value) -> list[Map]:
    if not isinstance(value, tuple) or not all(isinstance(item, Map) for item in value):
        raise ValueError("`points` and `leaderboard` are lists of objects")
    return [item for item in value if isinstance(item, Map)]


def _numbers(value: Value) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(isinstance(item, int) for item in value):
        raise ValueError("points are named by whole numbers")
    return tuple(item for item in value if isinstance(item, int))


def _texts(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise ValueError("`overrides` is a list of texts")
    return tuple(map(str, value))


def _results(steps: Value) -> tuple[StepResult, ...]:
    if not isinstance(steps, tuple):
        raise ValueError("`steps` is a list")
    return tuple(map(result_of, steps))


def _numbered(directory: Path) -> dict[int, Path]:
    """The run directories of points that another launcher ran, by number."""
    if not directory.is_dir():
        return {}
    found = {int(p.name): p for p in directory.iterdir() if p.name.isascii() and p.name.isdigit()}
    return {n: path for n, path in sorted(found.items()) if (path / RECORD_FILE).is_file()}


def _launched(directory: Path, numbered: Mapping[int, Path], place: Path) -> Sweep:
    """A sweep whose points another launcher ran, each by itself: those that ended."""
    runs = {number: _run(path) for number, path in numbered.items()}
    points = tuple(_point(number, run, numbered[number]) for number, run in runs.items())
    places = {number: path.name for number, path in numbered.items()}
    best = best_of([point.entry for point in points])
    names = {name for run in runs.values() for name in run.secret.names}
    return Sweep(
        plan="",
        began=next((run.began for run in runs.values() if run.began), ""),
        points=points,
        best_point=best,
        best=_best(directory, best, places),
        links=_links(directory, places, place),
        secret=Secret(names=tuple(sorted(names))),
    )


def _point(number: int, run: Run, directory: Path) -> Point:
    record = run.record
    failed = [result for result in record.results if result.status == "failed"]
    entry = Entry(
        point=number,
        overrides=_overrides(directory),
        status="ok" if record.ok else "failed",
        metric=run.primary,
        objective=objective_of(record.metrics, run.primary),
        model=record.model,
        error="; ".join(result.error for result in failed),
    )
    return Point(entry=entry, results=record.results)


def _overrides(directory: Path) -> tuple[str, ...]:
    """The overrides of a job, as Hydra keeps them."""
    try:
        found = yaml.safe_load((directory / ".hydra" / "overrides.yaml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ()  # hydra.output_subdir may be null
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _best(directory: Path, number: int | None, places: Mapping[int, str]) -> Run | None:
    """The run of a point, where its directory is there."""
    if number is None or not (directory / places[number] / RECORD_FILE).is_file():
        return None
    return _run(directory / places[number])


def _links(directory: Path, places: Mapping[int, str], place: Path) -> dict[int, str]:
    base = os.path.relpath(directory, place)
    return {
        number: quote(os.path.normpath(os.path.join(base, own)).replace(os.sep, "/"), safe="/.")
        for number, own in places.items()
    }


def _began(directory: Path) -> str:
    """When a run began, as the directory says that Hydra gave it."""
    try:
        text = (directory / ".hydra" / "hydra.yaml").read_text("utf-8")
        found = re.search(r"^ +output_dir: (.*)$", text, re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None  # hydra.output_subdir may be null
    return _time(found[1] if found else str(directory.resolve()))


def _time(directory: str) -> str:
    found = [*_BEGAN.finditer(directory)]
    return "{} {}:{}:{}".format(*found[-1].groups()) if found else ""


def _object(file: Path) -> Map:
    """The object of a JSON file; an empty one where there is no file."""
    try:
        value = parse(file.read_text("utf-8"))
    except FileNotFoundError:
        return Map()
    except (OSError, ValueError) as error:
        raise CompileError([problem("record", f"{file} cannot be read: {error}")]) from None
    if not isinstance(value, Map):
        raise CompileError([problem("record", f"{file} is broken: it holds no JSON object")])
    return value


def _check(file: Path) -> None:
    """Refuse a file that cannot be, before anything is drawn for it."""
    if file.is_dir():
        raise CompileError([problem("output", f"{file} is a directory, and a page is a file")])
    above = next(path for path in file.absolute().parents if path.exists())
    if not above.is_dir():
        message = f"{file} cannot be written: {above} is no directory"
        raise CompileError([problem("output", message)])
