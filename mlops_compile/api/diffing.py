"""Two operands in, a review out: what differs between two plans, and what that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.api.behaving import behaviour_of, costs_of, metrics_of
from mlops_compile.api.compiling import effects_of
from mlops_compile.api.measured import Measured, measured
from mlops_compile.api.operands import CONF, GIT, Composer, Operand, Operands, sweep_of
from mlops_compile.api.state import State, state_with
from mlops_compile.api.sweeping import effects_of_sweep, merge_sweep
from mlops_compile.compiler.compare.plans import Side, as_if_made, compare_steps
from mlops_compile.compiler.compare.service import service_changes
from mlops_compile.compiler.compare.sweeps import Swept, compare_sweeps
from mlops_compile.compiler.compare.texts import cosmetic_changes
from mlops_compile.compiler.compose.config import compose
from mlops_compile.compiler.effects import Effect
from mlops_compile.emit.gates import refusals
from mlops_compile.execute.expected import work_of
from mlops_compile.ir.change import Cause, PlanChange, PointChange, StepChange
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.plan import Step, own_name
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.review import Basis, GateState, Named, Review
from mlops_compile.ir.value import KeyPath, Map, dotted

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
        operands = Operands(place, composer or _one_config(place), held)
        right = operands.read(new)
        left = operands.read(old, right.lock)
        if not left.swept and not right.swept:
            return _of_plans(left, right, _state(left, right, place), assume_made)
        return _of_sweeps(left, right, _state(left, right, place), assume_made)


def _one_config(project: Path) -> Composer:
    """Composes overrides, where there is no command line around."""

    def composed(words: Sequence[str]) -> Sequence[Config]:
        return [compose(tuple(words), project)]

    return composed


def _state(old: Operand, new: Operand, project: Path) -> State | None:
    """Where the project keeps what it made; None where it has nothing, or its config is broken."""
    for operand in (new, old):
        if operand.state is not None:
            return operand.state
    if not (project / "conf").is_dir() and not (project / ".mlops").is_dir():
        return None
    try:
        return state_with((), project)
    except CompileError:
        return None


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """The effects of a new plan's steps by name, their reasons, what they start from, and the work
    they are, in seconds."""

    basis: Basis
    effects: Mapping[str, tuple[str, str]]
    seconds: tuple[float | None, float | None]


def _of_plans(old: Operand, new: Operand, state: State | None, assume_made: bool) -> Review:
    left, right = Side(old.lock), Side(new.lock)
    steps = compare_steps(left, right)
    store = state.store if state and state.store.root.is_dir() else None
    try:
        known = (measured(old, store), measured(new, store))
        is_made = any(one.made for one in known) and not assume_made
        found = _effects_here(new.lock, state) if is_made else ()
        judged = _judged(steps, left, right, state, found)
        told = tuple(_told(step, judged, old, new) for step in steps)
        sensitive = _sensitive(old.lock) | _sensitive(new.lock)
        return Review(
            old=_named(old, len(left.steps)),
            new=_named(new, len(right.steps)),
            change=_change(old, new, told),
            basis=judged.basis,
            steps=new.lock.plan.steps,
            seconds=judged.seconds,
            metrics=metrics_of(*known),
            costs=tuple(costs_of(*known)),
            behaviour=behaviour_of(*known, store, sensitive),
            unmet=_unmet(known[1]),
            notes=tuple(_notes(old, new, judged.basis)),
        )
    finally:
        if store is not None:
            store.close()


def _of_sweeps(old: Operand, new: Operand, state: State | None, assume_made: bool) -> Review:
    left, right = (
        Swept(points=one.points, merged=merge_sweep(sweep_of(one))) for one in (old, new)
    )
    points, steps = compare_sweeps(left, right)
    merged = right.merged
    found: Sequence[Effect] = ()
    if state and state.store.root.is_dir() and not assume_made:
        found = effects_of_sweep(merged, state)
    is_made = any(effect.effect == "hit" for effect in found)
    sides = Side(left.merged.lock), Side(merged.lock)
    judged = _judged(steps, *sides, state, found if is_made else ())
    points, places = _with_origins(points, old, new)
    told = tuple(_told(step, judged, old, new, places) for step in steps)
    return Review(
        old=_named(old, len(left.merged.lock.plan.steps)),
        new=_named(new, len(merged.lock.plan.steps)),
        change=replace(_change(old, new, told), points=points),
        basis=judged.basis,
        steps=merged.lock.plan.steps,
        seconds=judged.seconds,
        notes=tuple(_notes(old, new, judged.basis)),
    )


def _named(operand: Operand, steps: int) -> Named:
    return Named(
        name=operand.name,
        what=operand.what,
        digest=operand.digest,
        steps=steps,
        points=len(operand.points) if operand.swept else 1,
    )


# Effects


def _judged(
    steps: tuple[StepChange, ...],
    old: Side,
    new: Side,
    state: State | None,
    found: Sequence[Effect],
) -> _Judged:
    """The effects that were found in the store; where none were, those that follow from the old
    plan alone."""
    if found:
        effects = {item.step.name: (item.effect, item.reason) for item in found}
        by_effect = [(item.step, item.effect) for item in found]
        return _Judged(basis="store", effects=effects, seconds=_work(by_effect, state))
    assumed = as_if_made(steps, old, new)
    by_effect = [(new.steps[name], effect) for name, (effect, _) in assumed.items()]
    return _Judged(basis="old", effects=assumed, seconds=_work(by_effect, state))


def _effects_here(lock: Lock, state: State | None) -> Sequence[Effect]:
    """What running a lock here would do; nothing of one that cannot be run here: it is of another
    version of this tool."""
    try:
        return () if state is None else effects_of(lock, state)
    except CompileError:
        return ()


def _work(
    effects: Sequence[tuple[Step, str]], state: State | None
) -> tuple[float | None, float | None]:
    """The seconds of what runs, and with what may; None where no earlier run tells."""
    if state is None or not state.store.root.is_dir():
        return None, None
    store = state.store
    try:
        names = {(step.kind, own_name(step.name)) for step, effect in effects if effect != "hit"}
        durations = store.durations(names)
    finally:
        store.close()
    least = work_of((step for step, effect in effects if effect == "run"), durations)
    return least, work_of((step for step, effect in effects if effect != "hit"), durations)


def _told(
    step: StepChange,
    judged: _Judged,
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
    effect, reason = judged.effects[step.name]
    return replace(step, causes=causes, effect=effect, reason=reason)  # type: ignore[arg-type]


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
        if operand.configs and (origin := _origin(cause.path, operand.settings())) is not None:
            return replace(cause, origin=operand.shown(origin))
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


def _sensitive(lock: Lock) -> frozenset[str]:
    """The columns that a lock marks sensitive."""
    found = set()
    for step in lock.plan.steps:
        data = step.params.get("data")
        columns = data.get("columns") if isinstance(data, Map) else None
        for name, column in columns.items() if isinstance(columns, Map) else ():
            if isinstance(column, Map) and column.get("sensitive") is True:
                found.add(name)
    return frozenset(found)


def _unmet(new: Measured) -> tuple[GateState, ...]:
    """The gates that what was measured of the new model does not reach."""
    package = next((s for s in new.lock.plan.steps if s.kind == "package"), None)
    judged = package.params.get("evaluate") if package else None
    if not isinstance(judged, Map) or not len(new.evaluation):
        return ()
    folds = new.metrics.get("folds")
    held = new.evaluation if folds is None else Map({**new.evaluation, "folds": folds})
    return tuple(
        GateState(path=dotted(found.where), text=found.message) for found in refusals(judged, held)
    )


def _notes(old: Operand, new: Operand, basis: Basis) -> Iterator[str]:
    if old.assumed:
        names = ", ".join(sorted(old.assumed))
        yield f"the data of {old.name} is not known ({names}): that of {new.name} stands for it"
    if old.configs and old.name.startswith(GIT):
        yield f"{old.name} has no lock: it was compiled with the packages installed here"
    if basis == "old":
        yield f"effects are those where {old.name} was run, and nothing else"
