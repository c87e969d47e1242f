"""The board of a sweep: its points by their objective, and those that differ in seed as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.metrics import METRICS

SEED = "seed"


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
            others = tuple(text for text in entry.overrides if key_of(text) != SEED)
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


def best_of(entries: Sequence[Entry]) -> int | None:
    """The best point of the board's first line; None where no point has an objective."""
    board = lines(entries)
    if not board:
        return None
    first = [entry for entry in entries if entry.point in board[0].points]
    return min(first, key=_place_of).point


def _place_of(entry: Entry) -> tuple[float, int]:
    assert entry.objective is not None
    sign = -1 if METRICS[entry.metric].greater_is_better else 1
    return sign * entry.objective, entry.point


def key_of(text: str) -> str:
    """The key that an override sets."""
    return text.partition("=")[0].lstrip("+")


def told_apart(overrides: Mapping[int, tuple[str, ...]]) -> dict[int, str]:
    """The overrides of each point, without those that all have."""
    shared = shared_by_all(list(overrides.values()))
    return {
        point: " ".join(text for text in texts if text not in shared)
        for point, texts in overrides.items()
    }


def shared_by_all(overrides: Sequence[tuple[str, ...]]) -> frozenset[str]:
    """The overrides that several points all have."""
    counts = Counter(text for texts in overrides for text in set(texts))
    return frozenset(text for text, count in counts.items() if 1 < count == len(overrides))


def _worse(line: Line) -> float:
    return -line.value if METRICS[line.metric].greater_is_better else line.value


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
