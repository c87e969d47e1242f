"""Both models of a review: what clients see, metrics, costs, answers, and gates."""

from __future__ import annotations

from mlops_compile.ir.review import FOLDS, Behaviour, Moved, Review
from mlops_compile.ir.value import dotted
from mlops_compile.present.review_rows import Part, Row, Tone
from mlops_compile.present.words import number, seconds_text, visible


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
