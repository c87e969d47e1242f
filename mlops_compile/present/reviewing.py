"""What a review tells, in an order to be read: parts of rows, to be laid out in any form."""

from __future__ import annotations

from dataclasses import replace

from mlops_compile.ir.change import Cause
from mlops_compile.ir.review import Review
from mlops_compile.ir.value import dotted
from mlops_compile.present.review_causes import causes_part
from mlops_compile.present.review_models import answers_part, gates_part, metrics_part, service_part
from mlops_compile.present.review_rows import Part, Row
from mlops_compile.present.review_steps import points_part, steps_part
from mlops_compile.present.words import counted, duration, value_text, visible

_DIGITS = 12  # of a digest


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
