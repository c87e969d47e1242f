"""A lock with a search: what follows from it, and what running it would do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from mlops_compile.compiler.check import check_further
from mlops_compile.compiler.effects import Effect
from mlops_compile.compiler.searching import space_in, trial_of, won
from mlops_compile.compiler.sources import together
from mlops_compile.compiler.spec import Spec
from mlops_compile.compiler.verify import NOWHERE, config_of
from mlops_compile.ir.config import Config
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.plan import Plan, Ref, Step
from mlops_compile.ir.problem import CompileError, Problem
from mlops_compile.ir.record import StepResult
from mlops_compile.ir.value import Map, canonical, parse
from mlops_compile.steps.kinds import CHOSEN
from mlops_compile.steps.sampling import Point, listed_points
from mlops_compile.steps.spaces import Space, trial_values, varied
from mlops_compile.store.store import Store

SEARCH = "search"
Judge = Callable[[Lock], Sequence[Effect]]


def search_step(lock: Lock) -> Step | None:
    """The search of a lock, if it has one."""
    return next((step for step in lock.plan.steps if step.kind == SEARCH), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A lock with a search, and what follows from it: its config, the one that trials vary,
    what it says, and the steps that trials stand behind. `memo` is what trials have in common."""

    lock: Lock
    step: Step
    config: Map
    varied: Map
    spec: Spec
    space: Space
    before: Plan
    memo: Memo = field(default_factory=Memo, compare=False, repr=False)

    @classmethod
    def of(cls, lock: Lock) -> Searched:
        """What a lock's search is made of. CompileError for a lock that is not whole."""
        step = search_step(lock)
        assert step is not None
        config = config_of(lock)
        spec, problems = check_further(Config(values=config, composition=NOWHERE))
        if problems:
            raise CompileError(problems)
        return cls(
            lock=lock,
            step=step,
            config=config,
            varied=varied(config),
            spec=spec,
            space=space_in(config)[0],
            before=Plan(steps=tuple(_before(lock.plan, step))),
        )

    def trial(self, point: Point, number: int) -> tuple[tuple[Step, ...], tuple[Problem, ...]]:
        """The steps of a trial, or what is wrong with its values together."""
        spec, problems = self._spec(point)
        if problems:
            return (), problems
        return trial_of(self.spec, spec, f"trial/{number}/", self.memo), ()

    def trials(self, steps: Iterable[Step]) -> Lock:
        """The lock of trials, beside what they take from the rest of the plan."""
        return replace(self.lock, plan=Plan(steps=(*self.before.steps, *steps)))

    def winner(self, best: Map) -> Lock:
        """The lock of the config with the best values alone."""
        values = best["params"]
        assert isinstance(values, Map)
        spec, problems = self._spec(self.space.values(values))
        if problems:
            raise CompileError(problems)
        levels = tuple(sorted(self.lock.contract.classes))
        pinned = together(spec.data, dict(self.lock.sources), levels)
        return won(self.lock, spec, pinned, best)

    def _spec(self, point: Point) -> tuple[Spec, tuple[Problem, ...]]:
        values = trial_values(self.varied, self.space, point)
        return check_further(Config(values=values, composition=NOWHERE), self.memo)


def _before(plan: Plan, search: Step) -> Iterator[Step]:
    """The steps that a search takes from, whatever lies between."""
    needed = {ref.step for _, ref in search.inputs}
    for step in reversed(plan.steps):
        if step.name in needed:
            needed |= {ref.step for _, ref in step.inputs}
    yield from (step for step in plan.steps if step.name in needed)


def alike(
    trials: Mapping[int, Sequence[Step]], memo: Memo
) -> tuple[tuple[Step, ...], dict[str, str]]:
    """The distinct steps of trials, and by the name of each step that of the one that makes it."""
    made: dict[Hashable, str] = {}
    names: dict[str, str] = {}
    steps: list[Step] = []
    for step in chain.from_iterable(trials.values()):
        inputs = tuple(
            (port, Ref(step=names.get(ref.step, ref.step), output=ref.output))
            for port, ref in step.inputs
        )
        params = memo.of("params", (step.params,), partial(canonical, step.params))
        key = (step.kind, params, inputs, step.outputs, step.seed)
        if key not in made:
            made[key] = step.name
            steps.append(replace(step, inputs=inputs))
        names[step.name] = made[key]
    return tuple(steps), names


def read(store: Store, result: StepResult, port: str) -> Map:
    """A JSON output of a step."""
    value = parse(store.blobs.read(result.output(port)).read_bytes())
    assert isinstance(value, Map)
    return value


def search_effects(
    lock: Lock, store: Store, found: Sequence[Effect], judge: Judge
) -> tuple[Effect, ...]:
    """The effects of a lock with a search, of which `found` are those of its steps alone, with
    those of the trials that are known beforehand, or of the winner's steps if the search is made.
    `judge` gives the effects of a lock without a search."""
    searched = Searched.of(lock)
    own = next(effect for effect in found if effect.step is searched.step)
    if own.effect == "hit":
        made = store.plans((own.key,)).get(own.key, ())
        best = next((b for b in (best_of(store, key) for key in made) if b is not None), None)
        winner = {} if best is None else {e.step.name: e for e in judge(searched.winner(best))}
        return tuple(_instead(effect, winner) for effect in found)
    search, seed = searched.spec.search, searched.step.seed
    points = listed_points(search, searched.space, searched.config, seed or 0)
    trials = {n: searched.trial(point, n)[0] for n, point in enumerate(points, start=1)}
    distinct, names = alike(trials, searched.memo)
    judged = {effect.step.name: effect for effect in judge(searched.trials(distinct))}
    known = [n for n, steps in trials.items() if steps and _is_made(steps[-1], names, judged)]
    first = "the first " if search.kind == "tpe" and len(trials) != search.trials else ""
    told = f"{len(known)} of {first}{len(trials)} trials are made"
    rows = [replace(own, reason=f"{own.reason}; {told}")]
    if search.kind != "tpe":
        rows += [judged[step.name] for step in distinct]
    waiting = [_waits(effect) for effect in found]
    place = found.index(own)
    return (*waiting[:place], *rows, *waiting[place + 1 :])


def _waits(effect: Effect) -> Effect:
    """That of a step that a search is yet to choose for."""
    chosen = CHOSEN in dict(effect.step.inputs)
    return replace(effect, reason="waits for search") if chosen else effect


def best_of(store: Store, key: str) -> Map | None:
    """What the search of an action key chose; None where it is not made."""
    action = store.find(key)
    if action is None:
        return None
    value = parse(store.blobs.read(dict(action.outputs)["best"]).read_bytes())
    return value if isinstance(value, Map) else None


def _instead(effect: Effect, winner: Mapping[str, Effect]) -> Effect:
    """The effect of the step that a search's choice makes of one that waits for it."""
    waits = effect.effect == "maybe" or CHOSEN in dict(effect.step.inputs)
    if not waits or effect.step.name not in winner:
        return effect
    return replace(winner[effect.step.name], step=effect.step)


def _is_made(step: Step, names: Mapping[str, str], judged: Mapping[str, Effect]) -> bool:
    return judged[names[step.name]].effect == "hit"
