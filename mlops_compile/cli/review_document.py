"""The document of `diff --format json` (docs/cli.md)."""

from __future__ import annotations

from mlops_compile.ir.change import Cause, PointChange, StepChange
from mlops_compile.ir.review import Behaviour, Moved, Review, Waiver
from mlops_compile.ir.value import Map, Value, dotted, pretty

FORMAT = 1


def review_document(review: Review) -> str:
    """A review as a JSON text."""
    change = review.change
    value: dict[str, Value] = {
        "format": FORMAT,
        "old": _side(review, "old"),
        "new": _side(review, "new"),
        "differs": change.differs,
        "basis": review.basis,
        "steps": tuple(map(_step, change.steps)),
        "api": Map(
            {
                "compatible": not change.breaking,
                "changes": tuple(
                    Map({"path": dotted(c.path), "text": c.text, "breaking": c.breaking})
                    for c in change.service
                ),
            }
        ),
        "metrics": Map({moved.name: _moved(moved) for moved in review.metrics}),
        "costs": Map({moved.name.replace(" ", "_"): _moved(moved) for moved in review.costs}),
        "behaviour": _behaviour(review.behaviour),
        "gates": tuple(
            Map({"name": gate.path, "text": gate.text, "met": False}) for gate in review.unmet
        ),
        "waivers": tuple(map(_waiver, review.waivers)),
        "cosmetic": tuple(map(_cause, change.cosmetic)),
        "notes": review.notes,
        "summary": Map(
            {
                "run": review.count("run"),
                "hit": review.count("hit"),
                "maybe": review.count("maybe"),
                "removed": sum(step.change == "removed" for step in change.steps),
                "seconds_estimated": review.seconds,
            }
        ),
    }
    if change.points:
        value["points"] = tuple(map(_point, change.points))
    return pretty(Map(value))


def _side(review: Review, which: str) -> Map:
    one = review.old if which == "old" else review.new
    return Map(
        {
            "name": one.name,
            "what": one.what,
            "plan": one.digest,
            "step_count": one.steps,
            "point_count": one.points,
        }
    )


def _step(step: StepChange) -> Map:
    return Map(
        {
            "name": step.name,
            "kind": step.kind,
            "change": step.change,
            "categories": step.categories,
            "effect": step.effect,
            "reason": step.reason,
            "upstream": step.upstream,
            "only_upstream": step.only_upstream,
            "causes": tuple(map(_cause, step.causes)),
        }
    )


def _point(point: PointChange) -> Map:
    return Map(
        {
            "overrides": point.overrides,
            "change": point.change,
            "old": point.old,
            "new": point.new,
            "like": point.like,
            "causes": tuple(map(_cause, point.causes)),
        }
    )


def _waiver(waiver: Waiver) -> Map:
    names = ("what", "old", "new", "reason", "used")
    return Map({name: getattr(waiver, name) for name in names})


def _cause(cause: Cause) -> Map:
    value: dict[str, Value] = {
        "path": dotted(cause.path) if len(cause.path) > 1 else cause.path[0],
        "category": cause.category,
        "change": cause.sort,
        "old": cause.old,
        "new": cause.new,
        "origin": None if cause.origin is None else str(cause.origin),
    }
    if cause.default:
        value["default"] = cause.default[0]
    return Map(value | ({"text": cause.text} if cause.text else {}))


def _moved(moved: Moved) -> Map:
    return Map({"old": moved.old, "new": moved.new, "better": moved.better})


def _behaviour(found: Behaviour | None) -> Value:
    if found is None:
        return None
    return Map(
        {
            "rows": found.rows,
            "changed": found.changed,
            "shift": found.shift,
            "only_old": found.only_old,
            "only_new": found.only_new,
            "segments": tuple(
                Map(
                    {
                        "column": level.column,
                        "level": level.level,
                        "rows": level.rows,
                        "changed": level.changed,
                    }
                )
                for level in found.segments
            ),
        }
    )
