"""The leaderboard of a sweep: points by their objective, and those that differ in seed as one."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from mlops_compile.cli.show import number, table
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.metrics import METRICS

_MOST = 20  # lines
_SEED = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A point: `objective` is its primary metric on the test part, None where it has none; `folds`
    the mean of that of its folds, where there is a cross-validation."""

    point: int
    overrides: tuple[str, ...]
    status: str
    metric: str = ""
    objective: float | None = None
    folds: float | None = None
    model: str | None = None
    directory: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: a point, or the points that differ in nothing but their seed. `value` is their mean
    and `deviation` its standard deviation (of at least two); `folds` the mean of their folds."""

    points: tuple[int, ...]
    overrides: tuple[str, ...]
    metric: str
    value: float
    deviation: float | None
    folds: float | None


def lines(entries: Sequence[Entry]) -> tuple[Line, ...]:
    """The points that have an objective, the best first."""
    groups: dict[tuple[str, tuple[str, ...]], list[Entry]] = {}
    for entry in entries:
        if entry.objective is not None:
            others = tuple(text for text in entry.overrides if _key(text) != _SEED)
            groups.setdefault((entry.metric, others), []).append(entry)
    found = []
    for (metric, others), held in groups.items():
        values = [entry.objective for entry in held if entry.objective is not None]
        folds = [entry.folds for entry in held if entry.folds is not None]
        found.append(
            Line(
                points=tuple(entry.point for entry in held),
                overrides=others if len(held) > 1 else held[0].overrides,
                metric=metric,
                value=mean(values),
                deviation=stdev(values) if len(values) > 1 else None,
                folds=mean(folds) if len(folds) == len(held) else None,
            )
        )
    return tuple(sorted(found, key=lambda line: (line.metric, _worse(line), line.points)))


def better(metric: str, value: float, other: float | None) -> bool:
    """Whether a value of a metric beats another."""
    if other is None:
        return True
    return value > other if METRICS[metric].greater_is_better else value < other


def leaderboard(entries: Sequence[Entry]) -> str:
    """The best lines as a table: the overrides that all points share are left out."""
    found = lines(entries)
    shared = _shared([entry.overrides for entry in entries])
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
    keys = tuple(dict.fromkeys(_key(text) for entry in entries for text in entry.overrides))
    text = io.StringIO()
    head = ("point", "status", "metric", "objective", "folds", *keys, "model", "directory", "error")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for entry in sorted(entries, key=_place):
        given = {_key(text): text.partition("=")[2] for text in entry.overrides}
        numbers = ["" if value is None else repr(value) for value in (entry.objective, entry.folds)]
        row = [str(entry.point), entry.status, entry.metric, *numbers]
        row += [given.get(key, "") for key in keys]
        writer.writerow([*row, entry.model or "", entry.directory, entry.error])
    return text.getvalue()


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+")


def told_apart(overrides: Mapping[int, tuple[str, ...]]) -> dict[int, str]:
    """The overrides of each point, without those that all have."""
    shared = _shared(list(overrides.values()))
    return {
        point: " ".join(text for text in texts if text not in shared)
        for point, texts in overrides.items()
    }


def _shared(overrides: Sequence[tuple[str, ...]]) -> frozenset[str]:
    """The overrides that several points all have."""
    counts = Counter(text for texts in overrides for text in set(texts))
    return frozenset(text for text, count in counts.items() if 1 < count == len(overrides))


def _worse(line: Line) -> float:
    return -line.value if METRICS[line.metric].greater_is_better else line.value


def _place(entry: Entry) -> tuple[bool, str, float, int]:
    if entry.objective is None:
        return (True, "", 0.0, entry.point)
    sign = -1 if METRICS[entry.metric].greater_is_better else 1
    return (False, entry.metric, sign * entry.objective, entry.point)


def _numbers(points: Sequence[int]) -> str:
    """`3`, `3,4,7`, or `3,4,7...` of many."""
    listed = ",".join(map(str, points[:5]))
    return listed if len(points) <= 5 else f"{listed}..."


def objective_of(metrics: Mapping[str, Value], metric: str) -> float | None:
    """The primary metric on the test part."""
    return _number_of(metrics.get("test"), metric)


def folds_of(metrics: Mapping[str, Value], metric: str) -> float | None:
    """The mean of the primary metric over the folds of a cross-validation, if there is one."""
    folds = metrics.get("folds")
    return _number_of(folds.get("mean"), metric) if isinstance(folds, Map) else None


def _number_of(part: Value, metric: str) -> float | None:
    value = part.get(metric) if isinstance(part, Map) else None
    return float(value) if isinstance(value, int | float) else None
