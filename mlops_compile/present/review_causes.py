"""Causes of a review: each once, with its values, its place and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_compile.ir.change import CATEGORIES, Cause
from mlops_compile.ir.review import Review
from mlops_compile.ir.value import KeyPath, Value, dotted
from mlops_compile.present.review_rows import MARKS, Part, Row, steps_text
from mlops_compile.present.words import counted, short, value_text, visible

_DIGITS = 12  # of a digest
_WIDEST = 48  # characters of a value
_MOST_VALUES = 3  # of one key that are rows of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A cause with the steps that it changes, or the number of points of a sweep."""

    cause: Cause
    steps: tuple[str, ...]
    points: int = 0


def told_causes(review: Review) -> tuple[Told, ...]:
    """Every cause once, by category, with what it changes."""
    steps: dict[Cause, list[str]] = {}
    for step in review.change.steps:
        for cause in step.causes:
            steps.setdefault(cause, []).append(step.name)
    points: dict[Cause, int] = {}
    for point in review.change.points:
        for cause in point.causes if point.change == "changed" else ():
            points[cause] = points.get(cause, 0) + 1
    every = dict.fromkeys((*steps, *points))
    rank = {name: place for place, name in enumerate(CATEGORIES)}
    return tuple(
        Told(cause=cause, steps=tuple(steps.get(cause, ())), points=points.get(cause, 0))
        for cause in sorted(every, key=lambda cause: (rank[cause.category], cause.path))
        if cause.path[0] not in _FOLLOWING
    )


# What follows from other causes, and is told in the service's part, or by the step itself.
_FOLLOWING = ("steps", "contract")


def causes_part(review: Review) -> Part | None:
    """The causes; many values of one key, as a sweep has them, are one row."""
    found = [told for told in told_causes(review) if not _is_told_by_rows(told, review)]
    if not found:
        return None
    where = any(told.cause.origin is not None for told in found)
    head = ("category", "what", "old", "new", *(["where"] if where else []), "changes")
    by_path: dict[KeyPath, list[Told]] = {}
    for told in found:
        by_path.setdefault(told.cause.path, []).append(told)
    rows = []
    for held in by_path.values():
        if len(held) > _MOST_VALUES:
            rows.append(_many_values(held, where, review))
        else:
            rows += [_cause_row(told, where, review) for told in held]
    return Part(
        name="causes",
        title="Causes",
        head=head,
        rows=tuple(rows),
        quoted=frozenset({"what", "old", "new", "where", "changes"}),
    )


def _is_told_by_rows(told: Told, review: Review) -> bool:
    """Whether other rows of a source say that its content is another one."""
    path = told.cause.path
    if path[0] != "sources" or path[-1] != "digest":
        return False
    rows = (*path[:-1], "rows")
    return any(cause.path == rows for step in review.change.steps for cause in step.causes)


def _cause_row(told: Told, where: bool, review: Review) -> Row:
    cause = told.cause
    place = [str(cause.origin) if cause.origin else ""] if where else []
    values = values_of(cause)
    cells = (cause.category, name_of(cause), *values, *place, _reach(told, review))
    return Row(cells=cells, tone=MARKS[cause.sort][1])


def _many_values(held: Sequence[Told], where: bool, review: Review) -> Row:
    """Causes of one path in a row."""
    first, last = held[0].cause, held[-1].cause
    sides = []
    for side in (0, 1):
        texts = [*dict.fromkeys(values_of(told.cause)[side] for told in held)]
        ends = texts[0] if len(texts) == 1 else f"{texts[0]} … {texts[-1]} ({len(texts):,} values)"
        sides.append(ends)
    places = {str(told.cause.origin) for told in held if told.cause.origin}
    place = [places.pop() if len(places) == 1 else ""] if where else []
    steps = tuple(dict.fromkeys(name for told in held for name in told.steps))
    points = sum(told.points for told in held)
    reach = _reach(Told(cause=last, steps=steps, points=points), review)
    cells = (first.category, name_of(first), *sides, *place, reach)
    return Row(cells=cells, tone=MARKS[first.sort][1])


def _reach(told: Told, review: Review) -> str:
    """The steps that a cause changes, or how many points of those that both sweeps have."""
    if told.points:
        total = sum(point.change in ("same", "changed") for point in review.change.points)
        return f"{told.points:,} of {counted(total, 'point')}"
    return steps_text(told.steps)


def name_of(cause: Cause) -> str:
    """What differs, as people know it."""
    path = cause.path
    match path[0]:
        case "sources" if len(path) > 2 and path[2] == "columns":
            return f"{path[1]}: column {visible('.'.join(path[3:]))}"
        case "sources":
            return f"{path[1]}: {'content' if path[-1] == 'digest' else path[-1]}"
        case "environment":
            return f"package {visible('.'.join(path[1:]))}"
        case "code":
            return f"function {visible('.'.join(path[1:]))}"
        case "kinds" if len(path) > 2:
            return f"version of the step kind {path[1]}"
        case "kinds":
            return f"kind of the step {path[1]}"
        case "contract":
            return "the service's contract"
    return visible(dotted(path))


def values_of(cause: Cause) -> tuple[str, str]:
    """The old and the new value, as they are told."""
    old = _unstated(cause) if cause.sort == "added" else _value(cause, cause.old)
    new = _unstated(cause) if cause.sort == "removed" else _value(cause, cause.new)
    return old, new


def _unstated(cause: Cause) -> str:
    """What stands for a value that is not stated: its default, where there is such a key."""
    if cause.default is None:
        return "(none)"
    return " ".join((*(_value(cause, value) for value in cause.default), "(default)"))


def _value(cause: Cause, value: Value) -> str:
    if cause.path[0] == "sources" and isinstance(value, int):
        return f"{value:,}" + (" bytes" if cause.path[-1] == "size" else "")
    if cause.path[-1] == "digest" or cause.path[0] == "code":
        return str(value)[:_DIGITS]
    if isinstance(value, float):
        return repr(value)
    return short(value_text(value), _WIDEST)
