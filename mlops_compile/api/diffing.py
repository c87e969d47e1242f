"""Two operands in, a review out: what differs between two plans, and what that does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mlops_compile.api.judging import Judged, Known, judged
from mlops_compile.api.operand import CONF, GIT, Composer, Operand
from mlops_compile.api.operands import Operands, sweep_of
from mlops_compile.api.placing import Places
from mlops_compile.compiler.compare.plans import Side, compare_steps
from mlops_compile.compiler.compare.service import service_changes
from mlops_compile.compiler.compare.sweeps import Swept, compare_sweeps
from mlops_compile.compiler.compare.texts import cosmetic_changes
from mlops_compile.ir.change import Cause, PlanChange, PointChange, ServiceChange, StepChange
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.review import Basis, Named, Review, Waiver
from mlops_compile.steps.kinds import kind_problems

OLD, NEW = f"{GIT}HEAD", CONF


def diff(
    old: str = OLD,
    new: str = NEW,
    *,
    project: str | Path = ".",
    composer: Composer | None = None,
    assume_made: bool = False,
) -> Review:
    """What changes between two plans (docs/review.md has the operands), without needing the data.

    Effects are those that running the new plan here would have; where this project's store holds
    nothing of either plan, or with `assume_made`, those that it has where the old plan was run.
    CompileError says what is wrong with an operand.
    """
    place = Path(project)
    with ExitStack() as held:
        left, right = _read(Operands(place, composer, held), old, new)
        if left.swept or right.swept:
            return _compared_sweeps(left, right, place, assume_made)
        known = Known()
        if _has_more(left, right, place):
            from mlops_compile.api.known import of_plans, state_here  # which compiling needs, too

            state = state_here(left, right, place)
            known = of_plans(left, right, state, assume_made=assume_made)
        return _of_plans(left, right, known)


def _read(operands: Operands, old: str, new: str) -> tuple[Operand, Operand]:
    """Both operands. What has no lock is read last: where its data is not known, that of the other
    one stands for it."""
    if operands.is_unlocked(new) and not operands.is_unlocked(old):
        left = operands.read(old)
        return left, operands.read(new, left.lock)
    right = operands.read(new)
    return operands.read(old, right.lock), right


def _has_more(old: Operand, new: Operand, project: Path) -> bool:
    """Whether anything but the two locks can be known."""
    here = any((project / name).is_dir() for name in ("conf", ".mlops/store"))
    return here or any(one.compiled or one.run is not None for one in (old, new))


def _compared_sweeps(old: Operand, new: Operand, project: Path, assume_made: bool) -> Review:
    from mlops_compile.api.known import of_sweeps, state_here  # as above
    from mlops_compile.api.sweeping import merge_sweep

    left, right = (
        Swept(points=one.points, merged=merge_sweep(sweep_of(one))) for one in (old, new)
    )
    state = state_here(old, new, project) if _has_more(old, new, project) else None
    known = of_sweeps(right.merged, new.points, state, assume_made=assume_made)
    return _of_sweeps(old, new, left, right, known)


def _of_plans(old: Operand, new: Operand, known: Known) -> Review:
    left, right = Side(old.lock), Side(new.lock)
    steps = compare_steps(left, right)
    effects = judged(steps, left, right, known)
    places = Places(old, new, steps)
    told = tuple(_told(step, effects, places) for step in steps)
    return Review(
        old=_named(old, len(left.steps)),
        new=_named(new, len(right.steps)),
        change=_change(old, new, told),
        basis=effects.basis,
        steps=new.lock.plan.steps,
        seconds=effects.seconds,
        metrics=known.metrics,
        costs=known.costs,
        behaviour=known.behaviour,
        unmet=known.unmet,
        waivers=_waivers(old, new),
        notes=(*_notes(old, new, effects.basis), *known.notes),
    )


def _of_sweeps(old: Operand, new: Operand, left: Swept, right: Swept, known: Known) -> Review:
    points, steps = compare_sweeps(left, right)
    sides = Side(left.merged.lock), Side(right.merged.lock)
    effects = judged(steps, *sides, known)
    places = Places(old, new, steps, points)
    points = tuple(
        replace(point, causes=tuple(map(places.located, point.causes))) for point in points
    )
    told = tuple(_told(step, effects, places) for step in steps)
    return Review(
        old=_named(old, len(sides[0].steps)),
        new=_named(new, len(sides[1].steps)),
        change=replace(
            _change(old, new, told), points=points, service=_of_points(old, new, points)
        ),
        basis=effects.basis,
        steps=right.merged.lock.plan.steps,
        seconds=effects.seconds,
        waivers=_waivers(old, new),
        notes=tuple(_notes(old, new, effects.basis)),
    )


def _of_points(
    old: Operand, new: Operand, points: Sequence[PointChange]
) -> tuple[ServiceChange, ...]:
    """What differs for the clients of the points that both sweeps have, each change once."""
    pairs = ((point.old, point.new) for point in points if point.change == "changed")
    return tuple(
        dict.fromkeys(
            change
            for was, now in pairs
            if was is not None and now is not None
            for change in service_changes(old.points[was].lock, new.points[now].lock)
        )
    )


def _waivers(old: Operand, new: Operand) -> tuple[Waiver, ...]:
    """What the new plan's config accepts."""
    if not new.waivers:
        return ()
    from mlops_compile.compiler.waivers import waivers_for  # what compiles configs, which is loaded

    return waivers_for(new.waivers, old.digest, new.digest)


def _named(operand: Operand, steps: int) -> Named:
    return Named(
        name=operand.name,
        what=operand.what,
        digest=operand.digest,
        steps=steps,
        points=len(operand.points) if operand.swept else 1,
    )


def _told(step: StepChange, effects: Judged, places: Places) -> StepChange:
    """A step with its effect, and its causes with where they were set."""
    causes = tuple(map(places.located, step.causes))
    if step.change == "removed":
        return replace(step, causes=causes)
    effect, reason = effects.effects[step.name]
    if effect == "hit" and step.change != "same":
        reason = "made before"
    return replace(step, causes=causes, effect=effect, reason=reason)


# All that differs


def _change(old: Operand, new: Operand, steps: tuple[StepChange, ...]) -> PlanChange:
    service = service_changes(old.lock, new.lock)
    differs = any(step.change != "same" for step in steps)
    causes = [cause for step in steps for cause in step.causes]
    cosmetic = [*_moved(old.lock, new.lock)]
    if old.texts is not None and new.texts is not None:
        cosmetic += cosmetic_changes(
            old.texts,
            new.texts,
            told={cause.path for cause in causes},
            functions=any(cause.category == "code" for cause in causes),
            differs=differs,
        )
    return PlanChange(steps=steps, service=service, cosmetic=tuple(cosmetic))


def _moved(old: Lock, new: Lock) -> Iterator[Cause]:
    """What of sources differs and is in no key: where they are, and who is let in."""
    before = dict(old.sources)
    for name, source in new.sources:
        was = before.get(name)
        if was is None:
            continue
        for key, left, right in (
            ("location", was.location, source.location),
            ("credentials_env", was.credentials_env, source.credentials_env),
        ):
            if left != right:
                path = ("sources", name, key)
                text = "where a source lies is no cause of a result"
                yield Cause(path=path, category="cosmetic", old=left, new=right, text=text)


def _notes(old: Operand, new: Operand, basis: Basis) -> Iterator[str]:
    for one, other in ((old, new), (new, old)):
        if one.assumed:
            names = ", ".join(sorted(one.assumed))
            known = f"that of {other.name} stands for it"
            yield f"the data of {one.name} is not known ({names}): {known}"
    for one in (old, new):
        if one.compiled and one.name.startswith(GIT):
            yield f"{one.name} has no lock: it was compiled with the packages installed here"
    if not new.compiled:
        kinds = {(step.kind, step.version): step for step in new.lock.plan.steps}
        for told in kind_problems(kinds.values()):
            yield f"{new.name} cannot be run by this version: {told.message}; {told.hint}"
    if basis == "old":
        yield f"effects are those where {old.name} was run, and nothing else"
