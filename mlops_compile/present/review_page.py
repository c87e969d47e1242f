"""The page of a review: the graph of the new plan's steps, and every part as a table."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_compile.ir.change import StepChange
from mlops_compile.ir.review import Review
from mlops_compile.present.blocks import MOST_ROWS, Block, Figure, Page, Section, Table, Text
from mlops_compile.present.drawing import width_of
from mlops_compile.present.graph import Box, draw, drawn_as, edges_of
from mlops_compile.present.page import render
from mlops_compile.present.review_rows import Part
from mlops_compile.present.reviewing import parts, sides, verdict, warnings
from mlops_compile.present.secret import Secret
from mlops_compile.present.words import counted

_NARROW = 350  # what a phone shows of a graph
_MOST_BOXES = 150
_FATES = ("added", "changed", "upstream", "same")
_EFFECTS = ("run", "maybe", "hit")
_CAPTIONS = {
    "causes": "What differs, where it was set, and what it changes",
    "service": "What clients see",
    "model": "Both models",
    "answers": "Test rows that are answered otherwise, by segment",
    "gates": "What was measured of the new model",
    "points": "Points of both sweeps, by their overrides",
    "cosmetic": "What differs and is no cause",
}


def page_of(review: Review) -> str:
    """The page as html."""
    broken = warnings(review)
    status = "same" if not review.change.differs else "breaking" if broken else "differs"
    sections: list[Section] = []
    if broken:
        texts = tuple(Text(text=f"{text}.", marked=True) for text in broken)
        sections.append(Section(name="warnings", title="Take care", blocks=texts))
    found = parts(review)
    sections += [_section(part) for part in found if part.name != "steps"]
    place = next((n for n, s in enumerate(sections) if s.name == "causes"), -1) + 1
    sections.insert(place, _steps(review, next((p for p in found if p.name == "steps"), None)))
    page = Page(
        title="What changes between two plans",
        status=status,
        summary=f"{verdict(review)}.",
        facts=tuple(
            (which.capitalize(), f"{what}: {about}") for which, what, about in sides(review)
        ),
        sections=tuple(sections),
        made_by="mlops-compile diff",
    )
    return render(page, Secret())


def _section(part: Part) -> Section:
    blocks: list[Block] = [Text(text=part.lead)] if part.lead else []
    if part.rows:
        blocks.append(_table(part))
    return Section(name=part.name, title=part.title, blocks=tuple(blocks))


def _table(part: Part) -> Table:
    rows = tuple(row.cells for row in part.rows[:MOST_ROWS])
    more = len(part.rows) - len(rows)
    note = f"The first {len(rows)} of {len(part.rows):,}; the text form has all." if more else ""
    caption = _CAPTIONS.get(part.name, part.title)
    return Table(caption=caption, head=part.head, rows=rows, note=note)


def _steps(review: Review, part: Part | None) -> Section:
    """The graph of the new plan, and the table of all steps."""
    blocks: list[Block] = []
    table = _table(part) if part is not None else Table(caption="Steps", head=("step",), rows=())
    boxes = _boxes(review.change.steps)
    edges = edges_of(review.steps)
    boxes = {name: box for name, box in boxes.items() if name in edges}
    if boxes and len(boxes) <= _MOST_BOXES:
        svg = draw(boxes, edges)
        about = (
            f"{counted(len(review.steps), 'step')} of the new plan, each below what it takes from:"
            " thick where it differs, dashed where it is made already. The same step of every fold"
            " or point is drawn as one."
        )
        wide = width_of(svg) > _NARROW
        figure = Figure(title="The new plan", about=about, svg=svg, table=table, wide=wide)
        return Section(name="steps", title="Steps", blocks=(figure,))
    if boxes:
        text = f"{counted(len(boxes), 'step')} are too many to be drawn."
        blocks.append(Text(text=text))
    return Section(name="steps", title="Steps", blocks=(*blocks, table))


def _boxes(steps: Sequence[StepChange]) -> dict[str, Box]:
    """The boxes of the new plan's steps; those of folds are one."""
    groups: dict[str, list[StepChange]] = {}
    for step in steps:
        if step.change != "removed":
            groups.setdefault(drawn_as(step.name), []).append(step)
    return {name: _box(name, held) for name, held in groups.items()}


def _box(name: str, held: Sequence[StepChange]) -> Box:
    fates = {"upstream" if step.only_upstream else step.change for step in held}
    fate = next(word for word in _FATES if word in fates)
    effects = {step.effect for step in held}
    effect = next((word for word in _EFFECTS if word in effects), "")
    line = {
        "added": "new",
        "changed": "changed",
        "upstream": "upstream",
        "same": "the same",
    }[fate]
    told = {"run": "runs", "maybe": "may run", "hit": "made already", "": ""}[effect]
    shown = name.removeprefix("point/*/")
    if len(held) > 1:
        shown = f"{shown} × {len(held):,}"
        differ = sum(step.change != "same" for step in held)
        line = f"{differ:,} differ" if 0 < differ < len(held) else line
    return Box(name=shown, line=f"{line}, {told}", status=f"{fate} {effect}".strip())
