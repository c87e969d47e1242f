"""Two operands in, a review out: what differs between two plans, and what that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mlops_compile.api.judging import Judged, Known, judged
from mlops_compile.api.operand import CONF, GIT, Composer, Operand
from mlops_compile.api.operands import Operands, sweep_of
from mlops_compile.compiler.compare.plans import Side, compare_steps
from mlops_compile.compiler.compare.service import service_changes
from mlops_compile.compiler.compare.sweeps import Swept, compare_sweeps
from mlops_compile.compiler.compare.texts import cosmetic_changes
from mlops_compile.ir.change import Cause, PlanChange, PointChange, StepChange
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.review import Basis, Named, Review, Waiver
from mlops_compile.ir.value import KeyPath, dotted

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
        operands = Operands(place, composer, held)
        right = operands.read(new)
        left = operands.read(old, right.lock)
        if left.swept or right.swept:
            return _compared_sweeps(left, right, place, assume_made)
        known = Known()
        if _has_more(left, right, place):
            from mlops_compile.api.known import of_plans, state_here  # which compiling needs, too

            state = state_here(left, right, place)
            known = of_plans(left, right, state, assume_made=assume_made)
        return _of_plans(left, right, known)


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
    known = of_sweeps(right.merged, state, assume_made=assume_made)
    return _of_sweeps(old, new, left, right, known)


def _of_plans(old: Operand, new: Operand, known: Known) -> Review:
    left, right = Side(old.lock), Side(new.lock)
    steps = compare_steps(left, right)
    effects = judged(steps, left, right, known)
    told = tuple(_told(step, effects, old, new) for step in steps)
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
        notes=tuple(_notes(old, new, effects.basis)),
    )


def _of_sweeps(old: Operand, new: Operand, left: Swept, right: Swept, known: Known) -> Review:
    points, steps = compare_sweeps(left, right)
    sides = Side(left.merged.lock), Side(right.merged.lock)
    effects = judged(steps, *sides, known)
    points, places = _with_origins(points, old, new)
    told = tuple(_told(step, effects, old, new, places) for step in steps)
    return Review(
        old=_named(old, len(sides[0].steps)),
        new=_named(new, len(sides[1].steps)),
        change=replace(_change(old, new, told), points=points),
        basis=effects.basis,
        steps=right.merged.lock.plan.steps,
        seconds=effects.seconds,
        waivers=_waivers(old, new),
        notes=tuple(_notes(old, new, effects.basis)),
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


def _told(
    step: StepChange,
    effects: Judged,
    old: Operand,
    new: Operand,
    places: Mapping[Cause, Cause] | None = None,
) -> StepChange:
    """A step with its effect, and its causes with where they were set, as far as `places` does not
    say so."""
    known = places or {}
    causes = tuple(known.get(cause) or _located(cause, old, new) for cause in step.causes)
    if step.change == "removed":
        return replace(step, causes=causes)
    effect, reason = effects.effects[step.name]
    return replace(step, causes=causes, effect=effect, reason=reason)


# Where causes were set


def _with_origins(
    points: Sequence[PointChange], old: Operand, new: Operand
) -> tuple[tuple[PointChange, ...], dict[Cause, Cause]]:
    """Points with the place of each cause, and these causes; what points have in common is looked
    up once."""
    found: dict[Cause, Cause] = {}
    for point in points:
        for cause in point.causes:
            if cause not in found:
                found[cause] = _of_point(cause, point) or _located(cause, old, new)
    told = (
        replace(point, causes=tuple(found[cause] for cause in point.causes)) for point in points
    )
    return tuple(told), found


def _of_point(cause: Cause, point: PointChange) -> Cause | None:
    """A cause with the override of its own point that sets it, if there is one."""
    key = dotted(cause.path)
    for text in point.overrides:
        if text.partition("=")[0].lstrip("+") == key:
            return replace(cause, origin=Origin.of_override(text))
    return None


def _located(cause: Cause, old: Operand, new: Operand) -> Cause:
    """A cause with the place that set its value: of the new plan, or of the old one where only that
    has the value."""
    for operand in (old,) if cause.sort == "removed" else (new, old):
        if (origin := _origin(cause.path, operand.settings())) is not None:
            return replace(cause, origin=origin)
    return cause


def _origin(path: KeyPath, settings: Settings) -> Origin | None:
    """The place that set a key, or the nearest key around it."""
    for depth in range(len(path), 0, -1):
        made = settings.get(path[:depth])
        if made:
            return made[-1].value if depth == len(path) else made[-1].key
    return None


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
    if old.assumed:
        names = ", ".join(sorted(old.assumed))
        yield f"the data of {old.name} is not known ({names}): that of {new.name} stands for it"
    if old.compiled and old.name.startswith(GIT):
        yield f"{old.name} has no lock: it was compiled with the packages installed here"
    if basis == "old":
        yield f"effects are those where {old.name} was run, and nothing else"
