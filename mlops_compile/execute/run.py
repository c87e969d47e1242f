"""One run of a lock: what is made is taken, the rest runs side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

from mlops_compile.execute.account import Account
from mlops_compile.execute.failures import differs, keeps_breaking, no_process
from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.jobs import Jobs
from mlops_compile.execute.making import Ended, Making
from mlops_compile.execute.messages import Outcome
from mlops_compile.execute.observer import Observer
from mlops_compile.execute.platform import machine
from mlops_compile.execute.pool import Worker, Workers
from mlops_compile.execute.resources import Resources
from mlops_compile.execute.results import failed, hit, ran
from mlops_compile.execute.sources import source_problems
from mlops_compile.execute.wanted import Wanted, Wishes
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step, own_name
from mlops_compile.ir.problem import CompileError, ProblemsError, StoreError
from mlops_compile.ir.record import RunRecord
from mlops_compile.steps.kinds import kind_of
from mlops_compile.store.actions import Action
from mlops_compile.store.claims import Claim
from mlops_compile.store.store import Store

_REMAKES = 3  # how often a step's outputs are made again, before the disk is to blame
_LOOK = 0.05  # seconds between two looks at what other runs make


class Run:
    """One run, which `record` carries out: what is wanted, waited for and tried, by step name."""

    def __init__(
        self,
        lock: Lock,
        needs: Mapping[str, Needs],
        store: Store,
        project: Path,
        observer: Observer,
        workers: Workers,
        interrupts: Interrupts,
        resources: Resources,
        logs: Path,
        clock: Callable[[], float],
        *,
        fail_fast: bool = False,
    ) -> None:
        self._lock = lock
        self._fail_fast = fail_fast
        self._store = store
        self._project = project
        self._workers = workers
        self._interrupts = interrupts
        self._resources = resources
        self._wishes = Wishes(lock, needs)
        self._jobs = Jobs(lock, needs, store, project, resources.memory is not None)
        durations = store.durations({(step.kind, own_name(step.name)) for step in lock.plan.steps})
        self._account = Account(lock.plan, observer, durations, resources.workers)
        self._schedule = self._account.schedule
        self._making = Making(
            *(lock, store, workers, interrupts),
            *(resources.memory, logs, clock),
        )
        self._wanted: dict[str, Wanted] = {}
        self._imports = {s.name: kind_of(s.kind).imports(s.params) for s in lock.plan.steps}
        self._is_ahead = False
        self._elsewhere: set[str] = set()
        self._equal: dict[str, set[str]] = {}  # steps that were wanted, by key
        self._place = {step.name: place for place, step in enumerate(lock.plan.steps)}
        self._tries: Counter[str] = Counter()
        self._remakes: Counter[str] = Counter()

    def record(self) -> RunRecord:
        """Run to the end; the metrics are read by whoever has the record."""
        try:
            with self._store.listening(self._interrupts.check), self._jobs:
                try:
                    self._run()
                finally:
                    self._making.close()
        finally:
            self._store.flush()
        return RunRecord(lock=self._lock, results=self._account.in_order(), platform=machine())

    def _run(self) -> None:
        with self._interrupts.at_once():
            self._store.sweep()
            self._check_sources()
        self._settle()
        while self._schedule.left:
            self._interrupts.check()
            self._dispatch()
            if self._making.steps or self._elsewhere:
                self._hear()
            self._settle()

    # What is made already

    def _settle(self) -> None:
        """Take every step that the store has, until those that are left must be made."""
        while fresh := self._schedule.fresh():
            for step in fresh:
                if not self._schedule.is_left(step.name):  # skipped since this loop began
                    continue
                wanted = self._wishes.of(step, self._account.results)
                action = self._store.find(wanted.key, wanted.plan)
                if action is None:
                    self._wanted[step.name] = wanted
                    self._equal.setdefault(wanted.key, set()).add(step.name)
                else:
                    self._take(wanted, action)

    def _take(self, wanted: Wanted, action: Action) -> None:
        """The store has a step, which this run has not made; or not now."""
        if wanted.before is None or wanted.before == action.outputs:
            self._forget([wanted.step.name])
            self._account.finish(hit(wanted.step, wanted.key, action))
        else:  # another run has made it meanwhile
            self._fail(wanted, differs(wanted.step.name))

    # What must be made

    def _dispatch(self) -> None:
        """Give ready steps to idle workers, the most urgent first. A worker is asked for last: a
        run that waits for others needs none."""
        for step in self._schedule.ready():
            wanted = self._wanted.get(step.name)
            if wanted is None:  # ended since this loop began
                continue
            if not self._workers.can_take and not self._elsewhere:
                break
            if wanted.key in self._making.keys:  # an equal step is under way
                continue
            if self._workers.can_take or step.name in self._elsewhere:
                self._try(self._equals(wanted.key)[0])
        self._import_ahead()

    def _try(self, wanted: Wanted) -> None:
        """Start a step, unless another run makes it or, since this one looked, has made it."""
        step = wanted.step
        try:
            claim = self._store.claim(wanted.key)
        except StoreError as error:
            self._fail(wanted, error)
            return
        if claim is None:
            if step.name not in self._elsewhere:
                self._elsewhere.add(step.name)
                self._account.waiting(step)
            return
        is_kept = False
        try:
            action = self._store.find(wanted.key, wanted.plan)
            if action is not None:
                self._take(wanted, action)
            elif self._workers.can_take:
                self._elsewhere.discard(step.name)
                is_kept = self._start(wanted, claim)
        finally:
            if not is_kept:
                claim.release()

    def _start(self, wanted: Wanted, claim: Claim) -> bool:
        """Give a step to a worker; whether that was so."""
        step = wanted.step
        worker = self._idle(self._imports[step.name])
        if worker is None:  # the machine starts no more than there are
            return False
        try:
            threads = self._resources.threads_for(self._side_by_side(step))
            job = self._jobs.make(wanted, self._making.sound(wanted.inputs), threads)
        except StoreError as error:
            self._account.begun(step)
            self._fail(wanted, error)
            return False
        self._schedule.started(step.name)
        self._account.begun(step)
        worker.imported |= set(self._imports[step.name])
        self._making.start(wanted, claim, worker, job)
        return True

    def _side_by_side(self, step: Step) -> int:
        """How many steps that use threads are at work, or could be, with this one."""
        ready = (
            other
            for other in self._schedule.ready()
            if other is not step and kind_of(other.kind).threaded
        )
        return 1 + self._making.threaded + len(list(islice(ready, self._resources.workers)))

    def _idle(self, modules: tuple[str, ...]) -> Worker | None:
        try:
            return self._workers.idle(modules)
        except OSError as error:
            raise no_process(error) from None

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
        worker = self._idle(modules)
        if worker is not None:
            worker.import_ahead(modules)
            self._is_ahead = True

    # What has ended

    def _hear(self) -> None:
        """Wait until something has happened, and take it in."""
        for ended in self._making.ended(_LOOK if self._elsewhere else None):
            step, wanted, outcome = ended.wanted.step, ended.wanted, ended.outcome
            for note in outcome.notes:
                self._account.noted(step, note)
            if outcome.lost:
                self._make_again(wanted, outcome.lost)
            elif ended.error is None and not outcome.problems:
                self._forget([step.name])
                self._account.finish(ran(step, wanted.key, outcome))
            elif not self._tries_again(ended):
                self._fail(wanted, ended.error or outcome, outcome.seconds, ended.log)
            self._end_equal(wanted.key)

    def _equals(self, key: str) -> list[Wanted]:
        """The equal steps that are wanted, in the plan's order: the first is the one to be made,
        as `compile` says, whichever is most urgent."""
        names = sorted(self._equal[key] & self._wanted.keys(), key=self._place.__getitem__)
        return [self._wanted[name] for name in names]

    def _end_equal(self, key: str) -> None:
        """Steps that are equal to one that was under way take what it made; where that is nothing,
        they are tried."""
        for wanted in self._equals(key):
            if action := self._store.find(key, wanted.plan):
                self._take(wanted, action)

    def _make_again(self, wanted: Wanted, ports: tuple[str, ...]) -> None:
        """Inputs that were lost or damaged are made again first."""
        step = wanted.step
        lost = [ref for port, ref in step.inputs if port in ports]
        makers = {ref.step for ref in lost}
        self._wanted.pop(step.name, None)
        if not all(map(self._account.has_outputs, makers)):  # it was tried meanwhile, in vain
            self._forget(self._account.skip(step))
            return
        gone = {name for name in makers if not self._schedule.is_left(name)}
        for ref in lost:
            if ref.step in gone and self._remakes[ref.step] == _REMAKES:
                error = keeps_breaking(f"{ref.step}.{ref.output}", _REMAKES)
                self._fail(wanted, error)
                return
        for ref in lost:
            message = f"{ref.step}.{ref.output} is damaged in the store; making it again"
            self._account.noted(step, message)
        self._remakes.update(gone)
        self._schedule.again(step.name, makers)

    def _tries_again(self, ended: Ended) -> bool:
        """Whether a kind that may fail by chance has tries left."""
        step, outcome = ended.wanted.step, ended.outcome
        if ended.error is not None or outcome.final:
            return False
        self._tries[step.name] += 1
        if self._tries[step.name] > kind_of(step.kind).retries:
            return False
        self._account.noted(step, f"failed, and is tried again: {outcome.problems[0].message}")
        self._schedule.again(step.name)
        return True

    def _fail(
        self, wanted: Wanted, error: Outcome | ProblemsError, seconds: float = 0.0, log: str = ""
    ) -> None:
        result = failed(wanted.step, wanted.key, error, seconds, log)
        self._forget(self._account.fail(result))
        if self._fail_fast:
            for step in self._lock.plan.steps:
                if self._schedule.is_left(step.name) and step.name not in self._making.steps:
                    self._forget(self._account.leave(step, f"{result.step} has failed"))

    def _forget(self, names: Iterable[str]) -> None:
        """Steps that are not wanted any more."""
        for name in names:
            self._wanted.pop(name, None)
            self._elsewhere.discard(name)

    def _check_sources(self) -> None:
        """Refuse a lock whose source has changed and has no snapshot, before anything runs."""
        found = []
        for step in self._lock.plan.steps:
            if step.source is None or self._store.find(
                self._wishes.of(step, self._account.results).key
            ):
                continue
            source = self._lock.source(step.source)
            found += source_problems(step, source, self._store.blobs, self._project)
        if found:
            raise CompileError(found)
