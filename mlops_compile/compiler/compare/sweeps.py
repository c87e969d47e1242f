"""Compares sweeps point by point, and their distinct steps."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlops_compile.compiler.compare.plans import Side, compare_steps
from mlops_compile.ir.change import PointChange, StepChange
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.merging import Merged
from mlops_compile.ir.sweep import SweepPoint

Overrides = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A sweep with its distinct steps as one plan."""

    points: tuple[SweepPoint, ...]
    merged: Merged


def compare_sweeps(
    old: Swept, new: Swept
) -> tuple[tuple[PointChange, ...], tuple[StepChange, ...]]:
    """The points of the new sweep in order, then those that only the old one has; and the distinct
    steps of the new one, then those that points lost.

    Points are the same by their overrides, in whatever order; where that fails, by those that tell
    a point from the others of its sweep; else by their plan, whatever asks for it. A new point is
    compared with the old one that has most overrides in common with it. A step that some point of
    the old sweep has is the same.
    """
    sides = _Sides()
    pairs = _paired(old, new)
    made = set(old.merged.keys.values())
    points: list[PointChange] = []
    steps: dict[str, StepChange] = {}
    lost: dict[str, StepChange] = {}
    for number, point in enumerate(new.points):
        was, is_same_point = pairs[number]
        found = compare_steps(sides.of(old.points[was].lock), sides.of(point.lock))
        names = new.merged.names[number]
        for step in found:
            if step.change == "removed":
                if is_same_point:
                    lost.setdefault(step.name, step)
                continue
            own = names[step.name]
            if own not in steps:
                steps[own] = _as_merged(step, own, names, new.merged.keys[own] in made)
        points.append(_point(point, number, was, is_same_point, found))
    kept = {was for was, is_same_point in pairs if is_same_point}
    for was, point in enumerate(old.points):
        if was not in kept:
            points.append(PointChange(overrides=point.overrides, change="removed", old=was))
    ordered = (steps[step.name] for step in new.merged.lock.plan.steps)
    return tuple(points), (*ordered, *lost.values())


def _as_merged(step: StepChange, name: str, names: Mapping[str, str], is_made: bool) -> StepChange:
    """A point's step as one of the merged plan."""
    if is_made:
        return StepChange(name=name, kind=step.kind, change="same")
    upstream = tuple(names.get(other, other) for other in step.upstream)
    change = "changed" if step.change == "same" else step.change
    return replace(step, name=name, change=change, upstream=upstream)


def _point(
    point: SweepPoint, number: int, was: int, is_same: bool, steps: Sequence[StepChange]
) -> PointChange:
    causes = tuple(dict.fromkeys(cause for step in steps for cause in step.causes))
    if not is_same:
        return PointChange(
            overrides=point.overrides, change="added", new=number, like=was, causes=causes
        )
    differs = any(step.change != "same" for step in steps)
    return PointChange(
        overrides=point.overrides,
        change="changed" if differs else "same",
        old=was,
        new=number,
        causes=causes,
    )


def _paired(old: Swept, new: Swept) -> list[tuple[int, bool]]:
    """For each new point the old one to compare it with, and whether that is the same point."""
    found: dict[int, int] = {}
    free = set(range(len(old.points)))
    for named in (_by_overrides, _by_own_overrides, _by_plan):
        if not free or len(found) == len(new.points):
            break
        before = {name: number for number, name in enumerate(named(old)) if number in free}
        for number, name in enumerate(named(new)):
            if number not in found and before.get(name) in free:
                found[number] = before[name]
                free.remove(before[name])
    nearest = _Nearest([point.overrides for point in old.points])
    return [
        (found[number], True) if number in found else (nearest.of(point.overrides), False)
        for number, point in enumerate(new.points)
    ]


def _by_overrides(swept: Swept) -> list[Hashable]:
    return [_name(point.overrides) for point in swept.points]


def _by_own_overrides(swept: Swept) -> list[Hashable]:
    """What tells each point from the others: the overrides that not all have."""
    points = [point.overrides for point in swept.points]
    common = set(points[0]).intersection(*points)
    return [_name(tuple(text for text in each if text not in common)) for each in points]


def _by_plan(swept: Swept) -> list[Hashable]:
    """What each point makes."""
    keys = swept.merged.keys
    return [frozenset(keys[own] for own in names.values()) for names in swept.merged.names]


def _name(overrides: Overrides) -> Overrides:
    return tuple(sorted(overrides))


class _Nearest:
    """Finds the point that has most overrides in common with others; the first of equals."""

    def __init__(self, points: Sequence[Overrides]) -> None:
        self._places: dict[str, list[int]] = {}
        self._size = len(points)
        for number, overrides in enumerate(points):
            for text in overrides:
                self._places.setdefault(text, []).append(number)
        self._known: dict[Overrides, int] = {}

    def of(self, overrides: Overrides) -> int:
        """Its number. Overrides that all points have, or none, tell nothing."""
        told = tuple(t for t in overrides if 0 < len(self._places.get(t, ())) < self._size)
        if told not in self._known:
            counts: dict[int, int] = {}
            for text in told:
                for number in self._places[text]:
                    counts[number] = counts.get(number, 0) + 1
            best = min(counts, key=lambda number: (-counts[number], number), default=0)
            self._known[told] = best
        return self._known[told]


class _Sides:
    """What comparing needs of each lock, made once."""

    def __init__(self) -> None:
        self._made: dict[int, Side] = {}

    def of(self, lock: Lock) -> Side:
        found = self._made.get(id(lock))
        if found is None:
            found = self._made[id(lock)] = Side(lock)
        return found
