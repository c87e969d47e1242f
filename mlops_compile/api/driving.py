"""A search, driven: generations of trials as ordinary runs, then the winner's own plan.

Everything is asked for anew from the start, and taken from the store where it is made: a search
that was cut off, or grows, or has another number of workers, is the same search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mlops_compile.api.searching import SEARCH, Searched, alike, read
from mlops_compile.api.watching import Rest, Trial, Watching
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.platform import this_platform
from mlops_compile.ir.key import action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan, Step
from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.value import Map, pretty
from mlops_compile.steps.kinds import CHOSEN, needs_of
from mlops_compile.steps.sampling import Point, sampler_of
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

Execute = Callable[[Lock, Observer], RunRecord]


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
        distinct, names = alike(steps, self._searched.memo)
        watching.expect(steps, names)
        record = self._execute(self._searched.trials(distinct), watching)
        results = {result.step: result for result in record.results}
        made = {result.step for result in record.results if result.step.startswith("trial/")}
        self._keys += [results[name].action for name in made if results[name].action]
        self._seconds += sum(results[name].seconds for name in made)
        for number, own in steps.items():
            of_trial = [results[names[step.name]] for step in own]
            ended[number] = self._ended(watching.trials[number], numbered[number], of_trial)
        return [ended[number] for number in numbered]

    def _ended(self, told: Trial, point: Point, results: Sequence[StepResult]) -> Trial:
        """A trial with its point; where it has no scores, with what was wrong."""
        if results[-1].outputs:
            return replace(told, point=point)
        score = results[-1]
        failed = next((item for item in results if item.problems), score)
        problems = failed.problems or (problem("failed", score.error or "it was not made"),)
        return replace(told, point=point, problems=problems, log=failed.log)

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
