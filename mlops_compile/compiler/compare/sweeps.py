"""Compares sweeps point by point, and their distinct steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlops_compile.compiler.compare.plans import Side, compare_steps
from mlops_compile.ir.change import Cause, PointChange, StepChange
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.merging import Merged
from mlops_compile.ir.sweep import SweepPoint


def compare_points(
    old: Sequence[SweepPoint], new: Sequence[SweepPoint]
) -> tuple[tuple[PointChange, ...], tuple[tuple[StepChange, ...], ...]]:
    """The points of the new sweep in order, then those that only the old one has; and the steps of
    each. Points are the same by their overrides, whatever their order."""
    sides = _Sides()
    before = {_name(point): number for number, point in enumerate(old)}
    after = {_name(point): number for number, point in enumerate(new)}
    points: list[PointChange] = []
    steps: list[tuple[StepChange, ...]] = []
    for name, number in after.items():
        point = new[number]
        if name not in before:
            found = compare_steps(_nothing(point.lock), sides.of(point.lock))
            points.append(PointChange(overrides=point.overrides, change="added", new=number))
        else:
            was = before[name]
            found = compare_steps(sides.of(old[was].lock), sides.of(point.lock))
            differs = any(step.change != "same" for step in found)
            points.append(
                PointChange(
                    overrides=point.overrides,
                    change="changed" if differs else "same",
                    old=was,
                    new=number,
                    causes=distinct_causes(found),
                )
            )
        steps.append(found)
    for name, number in before.items():
        if name not in after:
            points.append(
                PointChange(overrides=old[number].overrides, change="removed", old=number)
            )
            steps.append(())
    return tuple(points), tuple(steps)


def merged_steps(
    points: Sequence[PointChange],
    steps: Sequence[tuple[StepChange, ...]],
    merged: Merged,
) -> tuple[StepChange, ...]:
    """The distinct steps of the new sweep, each as in the first point that has it. A step that
    stands in the old sweep at another point is still told as of its own point."""
    owners: dict[str, StepChange] = {}
    for point, found in zip(points, steps, strict=True):
        if point.new is None:
            continue
        names = merged.names[point.new]
        for step in found:
            if step.name in names and names[step.name] not in owners:
                upstream = tuple(names.get(name, name) for name in step.upstream)
                own = names[step.name]
                owners[own] = replace(step, name=own, upstream=upstream)
    return tuple(owners[step.name] for step in merged.lock.plan.steps)


def distinct_causes(steps: Sequence[StepChange]) -> tuple[Cause, ...]:
    """The causes of some steps, each once."""
    return tuple(dict.fromkeys(cause for step in steps for cause in step.causes))


def _name(point: SweepPoint) -> tuple[str, ...]:
    return tuple(sorted(point.overrides))


def _nothing(lock: Lock) -> Side:
    """A plan without steps, of the same world."""
    return Side(replace(lock, plan=replace(lock.plan, steps=()), sources=()))


class _Sides:
    """What comparing needs of each lock, made once."""

    def __init__(self) -> None:
        self._made: dict[int, Side] = {}

    def of(self, lock: Lock) -> Side:
        found = self._made.get(id(lock))
        if found is None:
            found = self._made[id(lock)] = Side(lock)
        return found
