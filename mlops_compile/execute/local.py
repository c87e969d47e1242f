"""Runs a lock's steps on worker processes: what is made is taken, the rest runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mlops_compile.execute.expected import Expectation
from mlops_compile.execute.inputs import Inputs, LostInputs
from mlops_compile.execute.making import Ended, Making, Wanted
from mlops_compile.execute.messages import Job, Outcome
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.platform import machine, this_platform
from mlops_compile.execute.pool import Worker, Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.execute.results import failed, hit, ran, skipped
from mlops_compile.execute.schedule import Schedule
from mlops_compile.execute.sources import source_problems
from mlops_compile.ir.key import Needs, action_preimage, key_of, plan_preimages
from mlops_compile.ir.lock import Lock, encode
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, ProblemsError, StoreError, problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, Value, parse
from mlops_compile.steps.kinds import kind_of, needs_of
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.claims import Claim
from mlops_compile.store.store import Store

_LOOK = 0.05  # seconds between two looks at what other runs make


def execute(
    lock: Lock,
    store: Store,
    locate: Callable[[Source], Path],
    observer: Observer,
    workers: Workers,
    resources: Resources,
    logs: Path,
    clock: Callable[[], float],
) -> RunRecord:
    """Run what is not in the store yet; the record says what each step made.

    `locate` gives the file of a source; `logs` is where the logs of steps are kept, one a step
    that printed something or failed; `clock` is the time of day that records name. Steps behind a
    failed one are skipped. Raises CompileError before anything runs where a source is neither as
    locked nor in the store. On an interrupt the workers at work are killed, and what is made stays.
    """
    needs = needs_of(lock)
    for _ in range(2):
        run = _Run(lock, needs, store, locate, observer, workers, resources, logs, clock)
        record = run.record()
        try:
            return replace(record, metrics=_metrics(record, store))
        except MissingBlob:  # it is set aside now, so that a second round makes it anew
            continue
    raise StoreError([problem("blob", "the metrics are damaged as soon as they are written")])


def _metrics(record: RunRecord, store: Store) -> Map:
    """The metrics of the model by part, and of the folds, as far as they are there."""
    found: dict[str, Value] = {}
    for result in record.results:
        if result.kind in ("evaluate", "summarise") and "/" not in result.step and result.outputs:
            value = parse(store.blobs.read(result.output("metrics")).read_bytes())
            assert isinstance(value, Map)
            found |= value if result.kind == "evaluate" else {"folds": value}
    return Map(found)


class _Run:
    """One run: what is known so far, by step name."""

    def __init__(
        self,
        lock: Lock,
        needs: Mapping[str, Needs],
        store: Store,
        locate: Callable[[Source], Path],
        observer: Observer,
        workers: Workers,
        resources: Resources,
        logs: Path,
        clock: Callable[[], float],
    ) -> None:
        self._lock = lock
        self._needs = needs
        self._store = store
        self._locate = locate
        self._observer = observer
        self._workers = workers
        self._resources = resources
        self._platform = this_platform()
        preimages = plan_preimages(lock, needs)
        self._plan_keys = {name: key_of(preimage) for name, preimage in preimages.items()}
        self._expectation = Expectation(lock.plan, store.durations())
        self._schedule = Schedule(lock.plan, self._expectation.seconds)
        self._inputs = Inputs(lock, store, locate)
        self._making = Making(lock, store, workers, resources.memory, logs, clock, self._plan_keys)
        self._results: dict[str, StepResult] = {}
        self._wanted: dict[str, Wanted] = {}
        self._imports = {s.name: kind_of(s.kind).imports(s.params) for s in lock.plan.steps}
        self._is_ahead = False
        self._elsewhere: set[str] = set()
        self._tries: dict[str, int] = {}
        self._held = ExitStack()
        self._scratch: Path | StoreError = self._entered()
        self._rooms = 0

    def record(self) -> RunRecord:
        """Run to the end; the metrics are read by whoever has the record."""
        try:
            self._check_sources()
            self._settle()
            while self._schedule.left:
                self._dispatch()
                if self._making.steps or self._elsewhere:
                    self._hear()
                self._settle()
        finally:
            self._end()
        results = tuple(self._results[step.name] for step in self._lock.plan.steps)
        return RunRecord(lock=self._lock, results=results, platform=machine())

    def _end(self) -> None:
        """Nothing of this run goes on: what is under way is killed, what is made is stored."""
        self._making.close()
        self._held.close()
        self._store.flush()

    # What is made already

    def _settle(self) -> None:
        """Take every step that the store has, until those that are left must be made."""
        while fresh := self._schedule.fresh():
            for step in fresh:
                wanted = self._wish(step)
                action = self._store.find(wanted.key, self._plan_keys[step.name])
                if action is None:
                    self._wanted[step.name] = wanted
                else:
                    self._finish(hit(step, wanted.key, action))

    def _wish(self, step: Step) -> Wanted:
        inputs = {port: self._results[ref.step].output(ref.output) for port, ref in step.inputs}
        needs = self._needs[step.name]
        preimage = action_preimage(self._lock, step, needs, inputs, self._platform)
        return Wanted(step=step, key=key_of(preimage), preimage=preimage, inputs=inputs)

    # What must be made

    def _dispatch(self) -> None:
        """Give ready steps to idle workers, the most urgent first."""
        for step in self._schedule.ready():
            worker = self._workers.idle(self._imports[step.name])
            if worker is None and not self._elsewhere:
                break
            if worker is not None or step.name in self._elsewhere:
                self._try(self._wanted[step.name], worker)
        self._import_ahead()

    def _try(self, wanted: Wanted, worker: Worker | None) -> None:
        """Start a step, unless another run makes it or, since this one looked, has made it."""
        step = wanted.step
        try:
            claim = self._store.claim(wanted.key)
        except StoreError as error:
            self._fail(failed(step, wanted.key, error))
            return
        if claim is None:
            if step.name not in self._elsewhere:
                self._elsewhere.add(step.name)
                self._observer.waiting(step)
            return
        action = self._store.find(wanted.key, self._plan_keys[step.name])
        if action is not None:
            claim.release()
            self._elsewhere.discard(step.name)
            self._finish(hit(step, wanted.key, action))
        elif worker is None:
            claim.release()
        else:
            self._elsewhere.discard(step.name)
            self._start(wanted, worker, claim)

    def _start(self, wanted: Wanted, worker: Worker, claim: Claim) -> None:
        step = wanted.step
        try:
            room = self._room()
            inputs = self._inputs.bring(step, wanted.inputs, room.parent)
            snapshot = self._inputs.snapshot(step, room)
        except LostInputs as lost:
            claim.release()
            self._make_again(step, lost.ports)
            return
        except (ProblemsError, OSError) as error:
            claim.release()
            self._observer.started(step, self._expectation.known(step))
            self._fail(failed(step, wanted.key, error))
            return
        self._schedule.started(step.name)
        threads = self._resources.threads_for(self._side_by_side())
        job = Job(
            step=step.name,
            kind=step.kind,
            params=step.params,
            inputs=inputs,
            digests=wanted.inputs,
            outputs=step.outputs,
            room=room,
            threads=threads if kind_of(step.kind).threaded else 1,
            seed=step.seed,
            source=self._lock.source(step.source) if step.source else None,
            snapshot=snapshot,
            contract=self._lock.contract if self._needs[step.name].contract else None,
        )
        self._observer.started(step, self._expectation.known(step))
        worker.imported |= set(self._imports[step.name])
        self._making.start(wanted, claim, worker, job)

    def _side_by_side(self) -> int:
        """How many steps run or could run beside the one that starts now, itself counted."""
        ready = (step for step in self._schedule.ready() if kind_of(step.kind).threaded)
        return 1 + len(self._making.steps) + len(list(islice(ready, self._resources.workers)))

    def _import_ahead(self) -> None:
        """Let a worker that has nothing to do import what later steps will need."""
        if self._is_ahead or not self._making.steps:
            return
        modules = tuple(
            dict.fromkeys(
                module
                for step in self._lock.plan.steps
                if self._schedule.is_left(step.name) and step.name not in self._making.steps
                for module in self._imports[step.name]
            )
        )
        worker = self._workers.idle(modules)
        if worker is not None:
            worker.import_ahead(modules)
            self._is_ahead = True

    def _make_again(self, step: Step, ports: tuple[str, ...]) -> None:
        """Inputs that were lost or damaged are made again first."""
        makers = {ref.step for port, ref in step.inputs if port in ports}
        for port, ref in step.inputs:
            if port in ports:
                message = f"{ref.step}.{ref.output} is damaged in the store; making it again"
                self._observer.noted(step, message)
        for name in {step.name, *makers}:
            self._wanted.pop(name, None)
        self._schedule.again(step.name, makers)

    # What has ended

    def _hear(self) -> None:
        """Wait until something has happened, and take it in."""
        for ended in self._making.ended(_LOOK if self._elsewhere else None):
            step, key, outcome = ended.wanted.step, ended.wanted.key, ended.outcome
            for note in outcome.notes:
                self._observer.noted(step, note)
            error = ended.error or (outcome if outcome.problems else self._differs(ended))
            if error is None:
                self._finish(ran(step, key, outcome))
            elif not self._tries_again(step, error):
                self._fail(failed(step, key, error, outcome.seconds, ended.log))

    def _differs(self, ended: Ended) -> StoreError | None:
        """A step that is made again gives what it gave before."""
        step, before = ended.wanted.step, self._results.get(ended.wanted.step.name)
        if before is None or before.outputs == ended.outcome.outputs:
            return None
        message = f"{step.name} gave other bytes than before from equal causes"
        hint = "the step is not reproducible on this machine; see docs/determinism.md"
        return StoreError([problem("differs", message, hint=hint)])

    def _tries_again(self, step: Step, error: Outcome | ProblemsError | OSError) -> bool:
        """Whether a kind that may fail by chance has tries left."""
        tried = self._tries[step.name] = self._tries.get(step.name, 0) + 1
        if not isinstance(error, Outcome) or tried > kind_of(step.kind).retries:
            return False
        self._observer.noted(step, f"failed, and is tried again: {error.problems[0].message}")
        self._schedule.again(step.name)
        return True

    def _fail(self, result: StepResult) -> None:
        self._wanted.pop(result.step, None)
        self._told(result)
        for step in self._schedule.failed(result.step):
            behind = [ref.step for _, ref in step.inputs]
            self._told(skipped(step, behind, self._results))
        self._tell_expected()

    def _finish(self, result: StepResult) -> None:
        self._wanted.pop(result.step, None)
        self._schedule.done(result.step)
        self._told(result)
        self._tell_expected()

    def _told(self, result: StepResult) -> None:
        """A step has its result: say so, and what is left."""
        self._results[result.step] = result
        self._observer.finished(result)
        self._expectation.ended(result.step)

    def _tell_expected(self) -> None:
        longest, workers = self._schedule.longest(), self._resources.workers
        seconds = self._expectation.left(longest, workers)
        self._observer.expected(self._schedule.left, seconds)

    # Places

    def _check_sources(self) -> None:
        """Refuse a lock whose source has changed and has no snapshot, before anything runs."""
        found = []
        for step in self._lock.plan.steps:
            if step.source is None or self._store.find(self._wish(step).key):
                continue
            source = self._lock.source(step.source)
            found += source_problems(step, source, self._store, self._locate)
        if found:
            raise CompileError(found)

    def _entered(self) -> Path | StoreError:
        """The run's own directory, by which a collection knows that it goes on; or why there can
        be none: where the store has everything, it need not be written."""
        try:
            return self._held.enter_context(self._store.scratch(encode(self._lock)))
        except StoreError as error:
            return error

    def _room(self) -> Path:
        """A directory of a step's own, on the store's file system."""
        if isinstance(self._scratch, StoreError):
            raise self._scratch
        self._rooms += 1
        room = self._scratch / str(self._rooms)
        room.mkdir()
        return room
