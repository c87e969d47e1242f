"""Steps and points of a review: what becomes of each, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlops_compile.ir.change import Cause, PointChange, StepChange
from mlops_compile.ir.plan import own_name
from mlops_compile.ir.review import Review
from mlops_compile.present.review_causes import name_of
from mlops_compile.present.review_rows import (
    MANY,
    MARKS,
    MOST_SHARED,
    Part,
    Row,
    listed,
    pattern,
    steps_text,
)
from mlops_compile.present.words import counted, visible

_FOLD = re.compile(r"fold/\d+/")


def steps_part(review: Review) -> Part | None:
    """Steps of one pattern and fate are one row."""
    alike: dict[tuple[str, str, str, str], list[StepChange]] = {}
    for step in review.change.steps:
        own = pattern(step.name) if len(review.change.steps) > MANY else step.name
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
        listed = steps_text([step.name for step in held], MOST_SHARED)
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
        return f"new, for {listed(own)}" if own else "new"
    if step.change == "removed":
        return f"gone, for {listed(own)}" if own else "gone"
    taken = [*dict.fromkeys(own_name(name) for name in step.upstream)]
    fold = _FOLD.match(own_name(step.name))
    if of_many and fold:
        taken = [re.sub(f"^{fold[0]}", "fold/*/", name) for name in taken]
    waits = f"because of {steps_text(taken)}" if taken else ""
    if step.change == "same":
        return "" if step.effect == "hit" else "unchanged, and not made here"
    if not own and not waits:
        return "makes other outputs"
    text = "; ".join([listed(own)] * bool(own) + [waits] * bool(waits))
    if step.effect == "hit":
        return f"{text}; made before"
    return text if own else f"only {text}"


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
        if change in ("added", "removed") and len(held) <= MOST_SHARED:
            for point in held:
                number = point.new if point.new is not None else point.old
                yield Row(cells=(mark, f"#{number}", _overrides([point]), ""), tone=tone)
            continue
        why = listed([*dict.fromkeys(name_of(c) for c in causes if c.path[0] != "steps")])
        yield Row(cells=(mark, f"{len(held):,}", _overrides(held), why), tone=tone)


def _overrides(points: Sequence[PointChange]) -> str:
    first = visible(" ".join(points[0].overrides)) or "(no overrides)"
    if len(points) == 1:
        return first
    last = visible(" ".join(points[-1].overrides)) or "(no overrides)"
    return f"{first} … {last}"
