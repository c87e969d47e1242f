"""What a review tells, in an order to be read: parts of rows, to be laid out in any form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mlops_compile.ir.change import CATEGORIES, Cause, PointChange, StepChange
from mlops_compile.ir.plan import own_name
from mlops_compile.ir.review import FOLDS, Behaviour, Moved, Review
from mlops_compile.ir.value import KeyPath, Value, dotted
from mlops_compile.present.words import (
    counted,
    duration,
    number,
    seconds_text,
    short,
    value_text,
    visible,
)

Tone: TypeAlias = Literal["plain", "add", "change", "remove", "dim", "bad", "good"]

_DIGITS = 12
_NUMBER = re.compile(r"(?<=[a-z_]/)\d+(?=/|\b)")
_FOLD = re.compile(r"fold/\d+/")
_WIDEST = 48  # characters of a value
_MANY = 6  # names that are listed one by one
_MOST_VALUES = 3  # of one key that are rows of their own
_MOST_STEPS = 20  # the same, of steps that share a row
MARKS: dict[str, tuple[str, Tone]] = {
    "added": ("+ new", "add"),
    "changed": ("~ changed", "change"),
    "removed": ("- removed", "remove"),
    "same": ("= same", "dim"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line: its cells, under the head of its part; `quoted` are those that hold values or names
    of the user's."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a review. `lead` is what it says in a sentence; `head` names the columns of its
    rows, those in `quoted` hold values or names of the user's. `folded`: it opens on demand, and
    tells of `count` things."""

    name: str
    title: str
    lead: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    quoted: frozenset[str] = frozenset()
    folded: bool = False
    count: int = 0
    tone: Tone = "plain"


def parts(review: Review) -> tuple[Part, ...]:
    """All parts of a review that have something to say, the most wanted first."""
    found = (
        causes_part(review),
        service_part(review),
        metrics_part(review),
        answers_part(review),
        gates_part(review),
        steps_part(review),
        points_part(review),
        cosmetic_part(review),
        waivers_part(review),
        notes_part(review),
    )
    return tuple(_visible(part) for part in found if part is not None)


def _visible(part: Part) -> Part:
    """A part each of whose cells is one line, without characters that are not to be seen."""
    rows = tuple(
        Row(cells=tuple(visible(cell) for cell in row.cells), tone=row.tone) for row in part.rows
    )
    return replace(part, rows=rows)


# In a sentence


def verdict(review: Review) -> str:
    """What happens, in a line: `2 to run, 2 may run, 4 unchanged; about 3 s to 12 s of work`."""
    change = review.change
    if not change.differs:
        cosmetic = "; what differs is cosmetic, and runs nothing" if change.cosmetic else ""
        return f"the plans are the same{cosmetic}{_left(review)}"
    removed = sum(step.change == "removed" for step in change.steps)
    counts = [
        f"{review.count('run'):,} to run",
        f"{review.count('maybe'):,} may run",
        f"{review.count('hit'):,} made already",
    ]
    counts += [f"{removed:,} removed"] if removed else []
    return f"{', '.join(counts)}{_came_and_went(review)}{_work(review)}"


def _left(review: Review) -> str:
    """What is to be made all the same, where the plans are the same."""
    count = sum(step.effect != "hit" for step in review.change.steps)
    if review.basis == "old" or not count:
        return ""
    return f"; {counted(count, 'step')} of them {'is' if count == 1 else 'are'} yet to be made here"


def _came_and_went(review: Review) -> str:
    """How many points of a sweep are new, and how many are gone."""
    counts = {
        name: sum(point.change == name for point in review.change.points)
        for name in ("added", "removed")
    }
    told = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f"; points: {', '.join(told)}" if told else ""


def _work(review: Review) -> str:
    least, most = review.seconds
    if most is not None and most:
        low, high = duration(least or 0), duration(most)
        span = f"{low} to {high}" if least is not None and low != high else high
        return f"; about {span} of work, as earlier runs took"
    if least:
        return f"; at least {duration(least)} of work, as earlier runs took"
    return ""


def warnings(review: Review) -> tuple[str, ...]:
    """What a reviewer must not miss, in sentences."""
    found = []
    if broken := review.change.breaking:
        found.append(
            f"{counted(len(broken), 'change')} of the service may break its clients"
            + (" (waived)" if "contract" in review.waived else "")
        )
    if review.unmet:
        told = counted(len(review.unmet), "gate")
        found.append(
            f"{told} {'is' if len(review.unmet) == 1 else 'are'} not met"
            + (" (waived)" if "gates" in review.waived else "")
        )
    return tuple(found)


def sides(review: Review) -> tuple[tuple[str, str, str], ...]:
    """Both plans: `old` or `new`, what it is, and its digest and size."""
    return tuple(
        (
            which,
            visible(one.what),
            f"{'sweep' if one.points > 1 else 'plan'} {one.digest[:_DIGITS]}, "
            + (f"{counted(one.points, 'point')}, " if one.points > 1 else "")
            + counted(one.steps, "step"),
        )
        for which, one in (("old", review.old), ("new", review.new))
    )


# Causes


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
    rows, switched = [], _switched(found)
    for held in by_path.values():
        if len(held) > _MOST_VALUES:
            rows.append(_many_values(held, where, review, switched))
        else:
            rows += [_cause_row(told, where, review, switched) for told in held]
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


def _switched(found: Sequence[Told]) -> frozenset[KeyPath]:
    """The keys below which there are no defaults on both sides: another kind, or family, is chosen,
    or an entry is new or gone."""
    changed = {told.cause.path for told in found}
    kinds = {path[:-1] for path in changed if path[-1] == "kind" and len(path) > 1}
    sorts: dict[KeyPath, list[str]] = {}
    for told in found:
        if told.cause.path[:2] in _ENTRIES:
            sorts.setdefault(told.cause.path[:3], []).append(told.cause.sort)
    whole = ({"added"}, {"removed"})
    entries = {path for path, held in sorts.items() if len(held) > 1 and {*held} in whole}
    params = {_PARAMS} if _FAMILY in changed else set()
    return frozenset(kinds | entries | params | {_SPACE})


def _cause_row(told: Told, where: bool, review: Review, switched: frozenset[KeyPath]) -> Row:
    cause = told.cause
    place = [str(cause.origin) if cause.origin else ""] if where else []
    values = values_of(cause, switched)
    cells = (cause.category, name_of(cause), *values, *place, _reach(told, review))
    return Row(cells=cells, tone=MARKS[cause.sort][1])


def _many_values(
    held: Sequence[Told], where: bool, review: Review, switched: frozenset[KeyPath]
) -> Row:
    """Causes of one path in a row."""
    first, last = held[0].cause, held[-1].cause
    sides = []
    for side in (0, 1):
        texts = [*dict.fromkeys(values_of(told.cause, switched)[side] for told in held)]
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
    return _steps_text(told.steps)


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


def values_of(cause: Cause, switched: frozenset[KeyPath]) -> tuple[str, str]:
    """The old and the new value, as they are told. A key that is not stated has its default, unless
    another kind is chosen around it, which may not know it."""
    around = {cause.path[:depth] for depth in range(1, len(cause.path))}
    known = cause.path[0] in _CONFIG and not around & switched
    missing = "(default)" if known else "(none)"
    old = missing if cause.sort == "added" else _value(cause, cause.old)
    new = missing if cause.sort == "removed" else _value(cause, cause.new)
    return old, new


_FAMILY, _PARAMS, _SPACE = ("model", "family"), ("model", "params"), ("search", "space")
_ENTRIES = (("prepare", "derive"), ("data", "join"))
_CONFIG = ("data", "prepare", "search", "model", "evaluate", "deploy", "monitor")


def _value(cause: Cause, value: Value) -> str:
    if cause.path[0] == "sources" and isinstance(value, int):
        return f"{value:,}" + (" bytes" if cause.path[-1] == "size" else "")
    if cause.path[-1] == "digest" or cause.path[0] == "code":
        return str(value)[:_DIGITS]
    if isinstance(value, float):
        return repr(value)
    return short(value_text(value), _WIDEST)


# Steps


def steps_part(review: Review) -> Part | None:
    """Steps of one pattern and fate are one row."""
    alike: dict[tuple[str, str, str, str], list[StepChange]] = {}
    for step in review.change.steps:
        own = _pattern(step.name) if len(review.change.steps) > _MANY else step.name
        if step.change == "same" and step.effect == "hit":
            own = ""
        key = (step.change, own, step.effect or "", _why(step, of_many=True))
        alike.setdefault(key, []).append(step)
    if not alike:
        return None
    rows = []
    for (change, _, effect, why), held in alike.items():
        mark, tone = MARKS[change]
        tone = "dim" if change == "same" else tone
        listed = _steps_text([step.name for step in held], _MOST_STEPS)
        told = why if len(held) > 1 else _why(held[0])
        rows.append(Row(cells=(mark, listed, effect, told), tone=tone))
    rows.sort(key=lambda row: row.tone == "dim" and row.cells[2] == "hit")
    return Part(
        name="steps",
        title="Steps",
        head=("", "step", "effect", "why"),
        rows=tuple(rows),
        quoted=frozenset({"step"}),
        folded=True,
        count=len(review.change.steps),
    )


def _why(step: StepChange, of_many: bool = False) -> str:
    """Why a step differs: its own causes, or what it takes alone. `of_many`: as that is told of the
    same step of other folds, too."""
    own = [*dict.fromkeys(name_of(c) for c in step.causes if c.path[0] != "steps")]
    if step.change == "added":
        return f"new, for {_listed(own)}" if own else "new"
    if step.change == "removed":
        return f"gone, for {_listed(own)}" if own else "gone"
    taken = [*dict.fromkeys(own_name(name) for name in step.upstream)]
    fold = _FOLD.match(own_name(step.name))
    if of_many and fold:
        taken = [re.sub(f"^{fold[0]}", "fold/*/", name) for name in taken]
    waits = f"because of {_steps_text(taken)}" if taken else ""
    if step.change == "same":
        return "" if step.effect == "hit" else "unchanged, and not made here"
    if not own and not waits:
        return "makes other outputs"
    text = "; ".join([_listed(own)] * bool(own) + [waits] * bool(waits))
    if step.effect == "hit":
        return f"{text}; made before"
    return text if own else f"only {text}"


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
    return ", ".join(shown)


def _pattern(name: str) -> str:
    return _NUMBER.sub("*", name)


def _steps_text(names: Sequence[str], most: int = _MANY) -> str:
    """Names of steps; those of one pattern as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_pattern(name), []).append(name)
    found = [
        held[0] if len(held) == 1 else f"{pattern} ({len(held):,})"
        for pattern, held in groups.items()
    ]
    if len(found) > most:
        return f"{', '.join(found[: most - 1])}, {len(found) - most + 1} more"
    return ", ".join(found)


# The service


def service_part(review: Review) -> Part | None:
    if not review.change.service:
        return None
    rows = tuple(
        Row(
            cells=("breaking" if item.breaking else "compatible", dotted(item.path), item.text),
            tone="bad" if item.breaking else "add",
        )
        for item in review.change.service
    )
    return Part(
        name="service",
        title="Service",
        head=("", "where", "what clients see"),
        rows=rows,
        quoted=frozenset({"where"}),
        tone="bad" if review.change.breaking else "plain",
    )


# Both models


def metrics_part(review: Review) -> Part | None:
    every = (*review.metrics, *review.costs)
    if not every or not review.change.differs:
        return None
    both = [moved for moved in every if moved.old is not None and moved.new is not None]
    rows = [_moved(moved, review) for moved in both]
    means = ", their means over folds" * any(moved.name.startswith(FOLDS) for moved in both)
    lead = f"Metrics of the test part{means}, and what the model costs."
    if not any(moved in both for moved in review.metrics):
        missing = "new" if any(moved.old is not None for moved in review.metrics) else "old"
        lead = f"The {missing} plan has not been run here: its metrics are not known."
    return Part(
        name="model",
        title="Model",
        lead=lead,
        head=("", "old", "new", "change"),
        rows=tuple(rows),
    )


def _moved(moved: Moved, review: Review) -> Row:
    old, new = moved.old, moved.new
    shown = [_amount(moved.name, value) for value in (old, new)]
    change = ""
    if old is not None and new is not None:
        change = "=" if old == new else _change(moved.name, old, new)
    tone: Tone = "plain"
    if moved.better is not None and moved.name in {m.name for m in review.metrics}:
        tone = "good" if moved.better else "bad"
        change += " better" if moved.better else " worse"
    return Row(cells=(_label(moved.name), *shown, change), tone=tone)


def _label(name: str) -> str:
    return {
        "model bytes": "model",
        "bundle bytes": "bundle",
        "training seconds": "training",
        "answer seconds": "one answer",
    }.get(name, f"{name.removeprefix(FOLDS)} (folds)" if name.startswith(FOLDS) else name)


def _amount(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name.endswith(" bytes"):
        return f"{value / 1024:,.0f} KiB"
    if name == "answer seconds":
        return f"{value * 1e6:,.0f} µs"
    if name.endswith(" seconds"):
        return seconds_text(value)
    return number(value)


def _change(name: str, old: float, new: float) -> str:
    if name.endswith((" bytes", " seconds")):
        return f"{(new / old - 1) * 100:+,.0f} %" if old else ""
    return f"{new - old:+.4g}"


def answers_part(review: Review) -> Part | None:
    found = review.behaviour
    if found is None or not review.change.differs:
        return None
    rows = tuple(
        Row(
            cells=(
                visible(segment.column),
                visible(segment.level),
                f"{segment.rows:,}",
                f"{segment.changed:,}",
                _share(segment.changed, segment.rows),
            )
        )
        for segment in found.segments
    )
    return Part(
        name="answers",
        title="Answers",
        lead=_answers(found),
        head=("segment", "level", "test rows", "changed", "share"),
        rows=rows,
        quoted=frozenset({"segment", "level"}),
    )


def _answers(found: Behaviour) -> str:
    share = _share(found.changed, found.rows)
    what = "have another prediction" if found.regression else "are decided otherwise"
    text = f"{found.changed:,} of {found.rows:,} test rows ({share}) {what}"
    of = "a prediction" if found.regression else "a probability"
    text += f"; {of} moves by {number(found.shift)} on average"
    if found.only_old or found.only_new:
        text += f". {found.only_old:,} test rows are in the old plan alone"
        text += f", {found.only_new:,} in the new one"
    return f"{text}."


def _share(part: int, whole: int) -> str:
    return f"{part / whole * 100:.1f} %" if whole else "-"


def gates_part(review: Review) -> Part | None:
    if not review.unmet:
        return None
    rows = tuple(
        Row(cells=(gate.path, gate.text.removeprefix("the gate is not met: ")), tone="bad")
        for gate in review.unmet
    )
    return Part(
        name="gates",
        title="Gates that are not met",
        head=("gate", "what"),
        rows=rows,
        quoted=frozenset({"gate"}),
        tone="bad",
    )


# Sweeps


def points_part(review: Review) -> Part | None:
    points = review.change.points
    if not points:
        return None
    counts = {
        name: sum(point.change == name for point in points)
        for name in ("same", "changed", "added", "removed")
    }
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return Part(
        name="points",
        title="Points",
        lead=f"{counted(len(points), 'point')}: {listed}.",
        head=("", "points", "overrides", "why"),
        rows=tuple(_point_rows(points)),
        quoted=frozenset({"overrides"}),
        folded=True,
        count=len(points),
    )


def _point_rows(points: Sequence[PointChange]) -> Iterator[Row]:
    """Points of one fate and the same causes are one row; those that came or went are one each,
    unless they are many."""
    alike: dict[tuple[str, tuple[Cause, ...]], list[PointChange]] = {}
    for point in points:
        causes = point.causes if point.change == "changed" else ()
        alike.setdefault((point.change, causes), []).append(point)
    for (change, causes), held in alike.items():
        mark, tone = MARKS[change]
        if change in ("added", "removed") and len(held) <= _MOST_STEPS:
            for point in held:
                number = point.new if point.new is not None else point.old
                yield Row(cells=(mark, f"#{number}", _overrides([point]), ""), tone=tone)
            continue
        why = _listed([*dict.fromkeys(name_of(c) for c in causes if c.path[0] != "steps")])
        yield Row(cells=(mark, f"{len(held):,}", _overrides(held), why), tone=tone)


def _overrides(points: Sequence[PointChange]) -> str:
    first = visible(" ".join(points[0].overrides)) or "(no overrides)"
    if len(points) == 1:
        return first
    last = visible(" ".join(points[-1].overrides)) or "(no overrides)"
    return f"{first} … {last}"


# What changes nothing, and the rest


def cosmetic_part(review: Review) -> Part | None:
    if not review.change.cosmetic:
        return None
    rows = tuple(
        Row(
            cells=(visible(dotted(c.path) if len(c.path) > 1 else c.path[0]), _cosmetic(c)),
            tone="dim",
        )
        for c in review.change.cosmetic
    )
    return Part(
        name="cosmetic",
        title="Cosmetic: runs nothing",
        head=("where", "what"),
        rows=rows,
        quoted=frozenset({"where"}),
        folded=True,
        count=len(rows),
    )


def _cosmetic(cause: Cause) -> str:
    if cause.old is None and cause.new is None:
        return visible(cause.text)
    return f"{value_text(cause.old)} → {value_text(cause.new)}: {cause.text}"


def waivers_part(review: Review) -> Part | None:
    if not review.waivers:
        return None
    rows = tuple(
        Row(
            cells=(
                waiver.what,
                f"{waiver.old[:_DIGITS]} → {waiver.new[:_DIGITS]}",
                visible(waiver.reason),
                "holds" if waiver.used else "is for another pair of plans",
            ),
            tone="change" if waiver.used else "dim",
        )
        for waiver in review.waivers
    )
    return Part(
        name="waivers",
        title="Waivers",
        head=("what", "plans", "reason", ""),
        rows=rows,
        quoted=frozenset({"plans", "reason"}),
        count=len(rows),
    )


def notes_part(review: Review) -> Part | None:
    if not review.notes:
        return None
    rows = tuple(Row(cells=(visible(note),), tone="dim") for note in review.notes)
    return Part(name="notes", title="Notes", head=("note",), rows=rows)
