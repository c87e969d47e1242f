"""The leaderboard of a sweep in the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mlops_compile.cli.show import number, table
from mlops_compile.ir.value import Map, Value
from mlops_compile.present.board import Entry, key_of, lines, shared_by_all
from mlops_compile.steps.metrics import METRICS

_MOST = 20  # lines


def leaderboard(entries: Sequence[Entry]) -> str:
    """The best lines as a table: the overrides that all points share are left out."""
    found = lines(entries)
    shared = shared_by_all([entry.overrides for entry in entries])
    rows = []
    for place, line in enumerate(found[:_MOST], start=1):
        value = number(line.value)
        if line.deviation is not None:
            value += f" ± {number(line.deviation)}  of {len(line.points)} seeds"
        folds = [] if line.folds is None else [f"folds {number(line.folds)}"]
        own = " ".join(text for text in line.overrides if text not in shared)
        point = f"point {_numbers(line.points)}"
        rows.append([f"{place}.", f"{line.metric} {value}", *folds, point, own])
    more = [f"  and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return "\n".join([table(rows), *more])


def leaderboard_value(entries: Sequence[Entry]) -> tuple[Value, ...]:
    """The lines for the JSON document."""
    return tuple(
        Map(
            {
                "points": line.points,
                "overrides": line.overrides,
                "metric": line.metric,
                "value": line.value,
                "deviation": line.deviation,
                "folds": line.folds,
            }
        )
        for line in lines(entries)
    )


def leaderboard_csv(entries: Sequence[Entry]) -> str:
    """A row a point, the best first, those without an objective last; a column for each key that an
    override sets."""
    keys = tuple(dict.fromkeys(key_of(text) for entry in entries for text in entry.overrides))
    text = io.StringIO()
    head = ("point", "status", "metric", "objective", "folds", *keys, "model", "directory", "error")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for entry in sorted(entries, key=_place):
        given = {key_of(text): text.partition("=")[2] for text in entry.overrides}
        numbers = ["" if value is None else repr(value) for value in (entry.objective, entry.folds)]
        row = [str(entry.point), entry.status, entry.metric, *numbers]
        row += [given.get(key, "") for key in keys]
        writer.writerow([*row, entry.model or "", entry.directory, entry.error])
    return text.getvalue()


def _place(entry: Entry) -> tuple[bool, str, float, int]:
    if entry.objective is None:
        return (True, "", 0.0, entry.point)
    sign = -1 if METRICS[entry.metric].greater_is_better else 1
    return (False, entry.metric, sign * entry.objective, entry.point)


def _numbers(points: Sequence[int]) -> str:
    """`3`, `3,4,7`, or `3,4,7...` of many."""
    listed = ",".join(map(str, points[:5]))
    return listed if len(points) <= 5 else f"{listed}..."
