"""A search, driven: generations of trials as ordinary runs, then the winner's own plan.

Everything is asked for anew from the start, and taken from the store where it is made: a search
that was cut off, or grows, or has another number of workers, is the same search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from mlops_compile.compiler.check import check_further
from mlops_compile.compiler.effects import Effect
from mlops_compile.compiler.searching import space_in, trial_config, trial_of, won
from mlops_compile.compiler.sources import together
from mlops_compile.compiler.spec import Spec
from mlops_compile.compiler.verify import NOWHERE, config_of
from mlops_compile.execute.observer import Observer, Progress
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.config import Config
from mlops_compile.ir.key import action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, Ref, Step
from mlops_compile.ir.problem import CompileError, Problem, StepError, problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map, Value, canonical, parse, pretty
from mlops_compile.steps.kinds import CHOSEN, needs_of
from mlops_compile.steps.sampling import Point, listed_points, sampler_of
from mlops_compile.steps.searching import Space, shown
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

SEARCH = "search"
Execute = Callable[[Lock, Observer], RunRecord]
Judge = Callable[[Lock], Sequence[Effect]]


def search_step(lock: Lock) -> Step | None:
    """The search of a lock, if it has one."""
    return next((step for step in lock.plan.steps if step.kind == SEARCH), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A lock with a search, and what follows from it: the config that trials vary, what it says,
    and the steps that trials stand behind."""

    lock: Lock
    step: Step
    config: Map
    spec: Spec
    space: Space
    before: Plan

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
            spec=spec,
            space=space_in(config)[0],
            before=Plan(steps=tuple(_before(lock.plan, step))),
        )

    def trial(self, point: Point, number: int) -> tuple[tuple[Step, ...], tuple[Problem, ...]]:
        """The steps of a trial, or what is wrong with its values together."""
        spec, problems = self._spec(point)
        return ((), problems) if problems else (trial_of(self.spec, spec, f"trial/{number}/"), ())

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
        values = trial_config(self.config, point)
        return check_further(Config(values=values, composition=NOWHERE))


def _before(plan: Plan, search: Step) -> Iterator[Step]:
    """The steps that a search takes from, whatever lies between."""
    needed = {ref.step for _, ref in search.inputs}
    for step in reversed(plan.steps):
        if step.name in needed:
            needed |= {ref.step for _, ref in step.inputs}
    yield from (step for step in plan.steps if step.name in needed)


def alike(trials: Mapping[int, Sequence[Step]]) -> tuple[tuple[Step, ...], dict[str, str]]:
    """The distinct steps of trials, and by the name of each step that of the one that makes it."""
    made: dict[bytes, str] = {}
    names: dict[str, str] = {}
    steps: list[Step] = []
    for step in chain.from_iterable(trials.values()):
        inputs = tuple(
            (port, Ref(step=names.get(ref.step, ref.step), output=ref.output))
            for port, ref in step.inputs
        )
        told = Map({port: str(ref) for port, ref in inputs})
        key = canonical((step.kind, step.params, told, step.outputs, step.seed))
        if key not in made:
            made[key] = step.name
            steps.append(replace(step, inputs=inputs))
        names[step.name] = made[key]
    return tuple(steps), names


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial that has ended: what its scores say, or why it has none."""

    number: int
    point: Point
    scores: Map = field(default_factory=Map)
    problems: tuple[Problem, ...] = ()
    log: str = ""

    @property
    def objective(self) -> float | None:
        mean = self.scores.get("mean")
        return mean if isinstance(mean, float) else None

    def to_value(self) -> Map:
        value: dict[str, Value] = {
            "number": self.number,
            "params": shown(self.point),
            "status": "failed" if self.problems else "ok",
            "objective": self.objective,
        }
        if self.problems:
            value["error"] = "\n".join(map(str, self.problems))
            value |= {"log": self.log} if self.log else {}
        else:
            value |= {name: self.scores[name] for name in ("deviation", "each")}
        return Map(value)


class Watching:
    """Hears of the steps of trials, and tells how far the search is."""

    def __init__(self, observer: Observer, count: int | None, maximize: bool, store: Store) -> None:
        self._observer = observer
        self._count = count
        self._sign = 1 if maximize else -1
        self._store = store
        self._start = time.monotonic()
        self._scores: dict[str, list[int]] = {}
        self._ran = 0
        self.trials: dict[int, Trial | None] = {}
        self.best: tuple[int, float] | None = None

    def expect(self, trials: Iterable[int], names: Mapping[str, str]) -> None:
        """The trials that run now; `names` as of `alike`."""
        self._scores = {}
        for number in trials:
            name = f"trial/{number}/score"
            self._scores.setdefault(names[name], []).append(number)

    def started(self, step: Step, seconds: float | None) -> None:
        """Trials are many."""

    def waiting(self, step: Step) -> None:
        self._observer.waiting(step)

    def noted(self, step: Step, message: str) -> None:
        self._observer.noted(step, message)

    def finished(self, result: StepResult) -> None:
        if result.status == "failed":
            self._observer.finished(result)
        for number in self._scores.get(result.step, ()):
            self._ran += result.status == "ran"
            self.ended(Trial(number=number, point={}, scores=self._read(result)))

    def ended(self, trial: Trial) -> None:
        """A trial has its scores, or will have none."""
        self.trials[trial.number] = trial
        objective = trial.objective
        if objective is not None and (
            self.best is None or self._sign * (objective - self.best[1]) > 0
        ):
            self.best = (trial.number, objective)
        failed = sum(item is not None and item.objective is None for item in self.trials.values())
        count = self._count if self._count is not None else len(self.trials)
        left = count - len(self.trials)
        each = (time.monotonic() - self._start) / self._ran if self._ran else None
        self._observer.searched(
            Progress(
                ended=len(self.trials),
                failed=failed,
                trials=count,
                best=self.best,
                seconds=None if each is None else each * left,
            )
        )

    def expected(self, steps: int, seconds: float | None) -> None:
        """Of trials, not of their steps."""

    def searched(self, progress: Progress) -> None:
        """It is this that tells."""

    def _read(self, result: StepResult) -> Map:
        return read(self._store, result, "metrics") if result.outputs else Map()


class Rest:
    """Hears of the steps of a winner's plan that the search's own run has not told."""

    def __init__(self, observer: Observer, told: Iterable[str]) -> None:
        self._observer = observer
        self._told = frozenset(told)

    def started(self, step: Step, seconds: float | None) -> None:
        self._observer.started(step, seconds)

    def waiting(self, step: Step) -> None:
        self._observer.waiting(step)

    def noted(self, step: Step, message: str) -> None:
        self._observer.noted(step, message)

    def finished(self, result: StepResult) -> None:
        if result.step not in self._told or result.status != "hit":
            self._observer.finished(result)

    def expected(self, steps: int, seconds: float | None) -> None:
        self._observer.expected(steps, seconds)

    def searched(self, progress: Progress) -> None:
        """A winner's plan has no search."""


def read(store: Store, result: StepResult, port: str) -> Map:
    """A JSON output of a step."""
    value = parse(store.blobs.read(result.output(port)).read_bytes())
    assert isinstance(value, Map)
    return value


def run_search(
    lock: Lock,
    store: Store,
    observer: Observer,
    execute: Execute,
    clock: Callable[[], float],
    fail_fast: bool = False,
) -> RunRecord:
    """Execute a lock with a search; `execute` runs a lock without one.

    Of trials that fail, the rest goes on; the winner is the best of those that do not, and the
    record says that the search failed; with `fail_fast` there is none, and no trial is begun once
    one has failed. StoreError and interrupts are as of any run.
    """
    searched = Searched.of(lock)
    shared = tuple(step for step in lock.plan.steps if not _follows(step, lock.plan))
    first = execute(replace(lock, plan=Plan(steps=shared)), observer)
    results = {result.step: result for result in first.results}
    if any(not results[ref.step].outputs for _, ref in searched.step.inputs):
        return _record(lock, first, results, ())
    drive = _Drive(searched, store, observer, execute, clock, fail_fast)
    result, trials, best = drive.run(results)
    results[result.step] = result
    observer.finished(result)
    if not best:
        return replace(_record(lock, first, results, ()), trials=trials)
    last = execute(searched.winner(best), Rest(observer, results))
    results |= {item.step: item for item in last.results if item.step not in results}
    found = _record(lock, last, results, trials)
    return replace(found, best=best)


def _follows(step: Step, plan: Plan) -> bool:
    """Whether a step is the search, or stands behind it."""
    if step.kind == SEARCH or CHOSEN in dict(step.inputs):
        return True
    return any(_follows(plan[ref.step], plan) for _, ref in step.inputs)


def _record(
    lock: Lock, run: RunRecord, results: Mapping[str, StepResult], trials: tuple[Map, ...]
) -> RunRecord:
    """The record of a search's lock; what has no result was skipped."""
    rows = []
    for step in lock.plan.steps:
        behind = "the search has no winner" if SEARCH in results else "earlier steps failed"
        skipped = StepResult(step=step.name, kind=step.kind, status="skipped", error=behind)
        rows.append(results.get(step.name, skipped))
    return replace(run, lock=lock, results=tuple(rows), trials=trials)


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
        best = next((b for b in (_best_of(store, key) for key in made) if b is not None), None)
        winner = {} if best is None else {e.step.name: e for e in judge(searched.winner(best))}
        return tuple(_instead(effect, winner) for effect in found)
    search, seed = searched.spec.search, searched.step.seed
    points = listed_points(search, searched.space, searched.config, seed or 0)
    trials = {n: searched.trial(point, n)[0] for n, point in enumerate(points, start=1)}
    distinct, names = alike(trials)
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


def _best_of(store: Store, key: str) -> Map | None:
    action = store.find(key)
    if action is None:
        return None
    value = parse(store.blobs.read(dict(action.outputs)["best"]).read_bytes())
    return value if isinstance(value, Map) else None


def _instead(effect: Effect, winner: Mapping[str, Effect]) -> Effect:
    """The effect of the step that a search's choice makes of one that waits for it."""
    if effect.effect != "maybe" or effect.step.name not in winner:
        return effect
    return replace(winner[effect.step.name], step=effect.step)


def _is_made(step: Step, names: Mapping[str, str], judged: Mapping[str, Effect]) -> bool:
    return judged[names[step.name]].effect == "hit"


class _Drive:
    """Tries what the sampler of a search proposes, and finds the best."""

    def __init__(
        self,
        searched: Searched,
        store: Store,
        observer: Observer,
        execute: Execute,
        clock: Callable[[], float],
        fail_fast: bool,
    ) -> None:
        self._fail_fast = fail_fast
        self._searched = searched
        self._search = searched.spec.search
        self._store = store
        self._observer = observer
        self._execute = execute
        self._clock = clock
        self._keys: list[str] = []
        self._seconds = 0.0

    def run(self, results: Mapping[str, StepResult]) -> tuple[StepResult, tuple[Map, ...], Map]:
        """The result of the search step, all trials, and the best of them (empty if none is)."""
        lock, step = self._searched.lock, self._searched.step
        needs = needs_of(lock)
        inputs = {port: results[ref.step].output(ref.output) for port, ref in step.inputs}
        preimage = action_preimage(lock, step, needs[step.name], inputs, this_platform())
        plan = key_of(plan_preimages(lock, needs)[step.name])
        key = key_of(preimage)
        made = StepResult(step=step.name, kind=step.kind, status="hit", action=key)
        if (action := self._store.find(key, plan)) is not None:
            hit = replace(made, outputs=action.outputs, seconds=action.seconds)
            trials = read(self._store, hit, "trials")["trials"]
            assert isinstance(trials, tuple)
            kept = tuple(trial for trial in trials if isinstance(trial, Map))
            return hit, kept, read(self._store, hit, "best")
        tried = self._tried()
        told = tuple(trial.to_value() for trial in tried)
        best = self._best(tried)
        if failures := [trial for trial in tried if trial.problems]:
            best = Map() if self._fail_fast else best
            return self._failed(made, failures, len(tried)), told, best
        about = Map({"trials": tuple(sorted(set(self._keys)))})
        found = Action(
            step=step.name,
            kind=step.kind,
            preimage=preimage,
            outputs=(),
            blobs=(),
            seconds=self._seconds,
            plan=plan,
            made=self._clock(),
            about=about,
        )
        outputs = {"best": best, "trials": Map({"trials": told})}
        action = self._commit(key, found, outputs)
        done = replace(made, status="ran", outputs=action.outputs, seconds=self._seconds)
        return done, told, best

    def _commit(self, key: str, action: Action, outputs: Mapping[str, Map]) -> Action:
        """Add the search's own result to the store."""
        with self._store.scratch() as room:
            staged = []
            for port, value in sorted(outputs.items()):
                (room / port).write_text(pretty(value), "utf-8")
                staged.append((port, *stage(room / port, False, room / f"{port}-listing")))
            blobs = tuple(sorted({digest for _, digest, _ in staged}))
            ports = tuple((port, digest) for port, digest, _ in staged)
            action = replace(action, outputs=ports, blobs=blobs)
            files = tuple(file for _, _, files in staged for file in files)
            self._store.commit([Staged(key=key, action=action, files=files)])
        return action

    def _tried(self) -> list[Trial]:
        """Every trial, in order."""
        search, searched = self._search, self._searched
        seed = searched.step.seed
        sampler = sampler_of(search, searched.space, searched.config, 0 if seed is None else seed)
        maximize = search.direction == "maximize"
        watching = Watching(self._observer, search.trials, maximize, self._store)
        tried: list[Trial] = []
        while points := sampler.ask():
            generation = self._generation(points, len(tried) + 1, watching)
            sampler.tell([trial.objective for trial in generation])
            tried += generation
            if self._fail_fast and any(trial.problems for trial in generation):
                break
        return tried

    def _generation(self, points: Sequence[Point], first: int, watching: Watching) -> list[Trial]:
        numbered = dict(enumerate(points, start=first))
        steps: dict[int, tuple[Step, ...]] = {}
        ended: dict[int, Trial] = {}
        for number, point in numbered.items():
            own, problems = self._searched.trial(point, number)
            if problems:
                ended[number] = Trial(number=number, point=point, problems=problems)
                watching.ended(ended[number])
            else:
                steps[number] = own
        distinct, names = alike(steps)
        watching.expect(steps, names)
        record = self._execute(self._searched.trials(distinct), watching)
        results = {result.step: result for result in record.results}
        made = {result.step for result in record.results if result.step.startswith("trial/")}
        self._keys += [results[name].action for name in made if results[name].action]
        self._seconds += sum(results[name].seconds for name in made)
        for number, own in steps.items():
            of_trial = [results[names[step.name]] for step in own]
            ended[number] = self._ended(number, numbered[number], of_trial)
        return [ended[number] for number in numbered]

    def _ended(self, number: int, point: Point, results: Sequence[StepResult]) -> Trial:
        score = results[-1]
        if score.outputs:
            scores = read(self._store, score, "metrics")
            return Trial(number=number, point=point, scores=scores)
        failed = next((item for item in results if item.problems), score)
        problems = failed.problems or (problem("failed", score.error or "it was not made"),)
        return Trial(number=number, point=point, problems=problems, log=failed.log)

    def _best(self, tried: Sequence[Trial]) -> Map:
        """The best of the trials that did not fail, the first of equals."""
        sign = 1 if self._search.direction == "maximize" else -1
        scored = [trial for trial in tried if trial.objective is not None]
        if not scored:
            return Map()
        best = max(scored, key=lambda trial: (sign * (trial.objective or 0.0), -trial.number))
        value = best.to_value()
        return Map(
            {
                **{name: item for name, item in value.items() if name != "status"},
                "trials": len(tried),
                "metric": self._search.metric,
                "direction": self._search.direction,
            }
        )

    def _failed(self, made: StepResult, failures: list[Trial], count: int) -> StepResult:
        """The search's result where trials failed: it is not stored, so that the next run tries
        these again."""
        problems = [
            replace(item, message=f"trial {trial.number} of {count}: {item.message}")
            for trial in failures
            for item in trial.problems
        ]
        return replace(
            made,
            status="failed",
            problems=tuple(problems),
            error="\n".join(map(str, problems)),
            exit_code=StepError.exit_code,
            seconds=self._seconds,
            log=next((trial.log for trial in failures if trial.log), ""),
        )
