"""Steps under way: in the hands of a worker, then on their way into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.execute.committer import Commit, Committer
from mlops_compile.execute.messages import Job, Outcome
from mlops_compile.execute.pool import Worker, Workers
from mlops_compile.execute.resources import memory_of
from mlops_compile.execute.results import lost_worker, over_memory
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import ProblemsError
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.claims import Claim
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

_LOOK = 0.05  # seconds between two looks at the memory of workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A step that is not made yet, with its inputs known."""

    step: Step
    key: str
    preimage: Map
    inputs: Mapping[str, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A step that is not under way any more.

    It is in the store, unless its outcome has problems or `error` says why it could not be stored.
    `log` is the file of what it printed, if it printed something.
    """

    wanted: Wanted
    outcome: Outcome
    log: str
    error: OSError | ProblemsError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    wanted: Wanted
    claim: Claim
    worker: Worker
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storing:
    running: _Running
    outcome: Outcome
    log: str


class Making:
    """Hands jobs to workers, limits what they take, and stores what they made."""

    def __init__(
        self,
        lock: Lock,
        store: Store,
        workers: Workers,
        memory: int | None,
        logs: Path,
        clock: Callable[[], float],
        plan_keys: Mapping[str, str],
    ) -> None:
        self._lock = lock
        self._workers = workers
        self._memory = memory
        self._logs = logs
        self._clock = clock
        self._plan_keys = plan_keys
        self._blobs = store.blobs
        self._committer = Committer(store)
        self._running: dict[str, _Running] = {}
        self._storing: dict[str, _Storing] = {}

    @property
    def steps(self) -> Set[str]:
        """The names of the steps under way."""
        return self._running.keys() | self._storing.keys()

    def start(self, wanted: Wanted, claim: Claim, worker: Worker, job: Job) -> None:
        """Give a step to an idle worker; its claim is kept until it has ended."""
        name = wanted.step.name
        self._running[name] = _Running(wanted=wanted, claim=claim, worker=worker, job=job)
        worker.give(job)

    def ended(self, seconds: float | None) -> Iterator[Ended]:
        """What has ended, once something has; after so many seconds at most, if they are given."""
        if self._memory is not None:
            seconds = min(_LOOK, seconds or _LOOK)
        talking, stored = self._workers.ready(seconds, self._committer.fileno())
        if stored:
            for commit in self._committer.finished():
                yield self._stored(commit)
        for worker in talking:
            if found := self._listen(worker):
                yield found
        for running in [*self._running.values()] if self._memory is not None else []:
            if found := self._over(running, self._memory or 0):
                yield found

    def close(self) -> None:
        """Nothing is under way any more: workers at work are killed, what is made is stored."""
        self._workers.stop()
        self._committer.close()
        for running in [*self._running.values(), *(s.running for s in self._storing.values())]:
            running.claim.release()

    def _listen(self, worker: Worker) -> Ended | None:
        running = next((run for run in self._running.values() if run.worker is worker), None)
        try:
            outcome = worker.hear()
        except EOFError:
            ending = worker.ending()
            self._workers.remove(worker)
            if running is None:
                return None
            return self._unmade(running, lost_worker(running.wanted.step, ending))
        if outcome is None or running is None:
            return None
        if outcome.problems:
            return self._unmade(running, outcome)
        self._store(running, outcome)
        return None

    def _store(self, running: _Running, outcome: Outcome) -> None:
        name = running.wanted.step.name
        del self._running[name]
        log = self._kept_log(running)
        self._storing[name] = _Storing(running=running, outcome=outcome, log=log)
        action = self._action(running, outcome)
        staged = Staged(key=running.wanted.key, action=action, files=outcome.files)
        self._committer.put(Commit(step=name, staged=staged, room=running.job.room))

    def _action(self, running: _Running, outcome: Outcome) -> Action:
        step = running.wanted.step
        about = Map()
        if step.source is not None:
            about = self._about(self._lock.source(step.source))
        return Action(
            step=step.name,
            kind=step.kind,
            preimage=running.wanted.preimage,
            outputs=outcome.outputs,
            blobs=tuple(sorted({digest for _, digest in outcome.files})),
            seconds=outcome.seconds,
            plan=self._plan_keys[step.name],
            memory=outcome.memory,
            made=self._clock(),
            about=about,
        )

    def _about(self, source: Source) -> Map:
        """What a record tells of a source; of a folder, its files, which the record keeps."""
        told = source.to_dict()
        about = {name: told[name] for name in ("location", "rows", "size")}
        if source.files is not None:
            parts = {digest.sha256 for _, digest in self._blobs.tree(source.digest)}
            about["parts"] = tuple(sorted(parts))
        return Map(about)

    def _stored(self, commit: Commit) -> Ended:
        storing = self._storing.pop(commit.step)
        storing.running.claim.release()
        return Ended(
            wanted=storing.running.wanted,
            outcome=storing.outcome,
            log=storing.log,
            error=commit.error,
        )

    def _over(self, running: _Running, most: int) -> Ended | None:
        used = memory_of(running.worker.pid)
        if used <= most:
            return None
        self._workers.remove(running.worker)
        return self._unmade(running, over_memory(running.wanted.step, used, most))

    def _unmade(self, running: _Running, outcome: Outcome) -> Ended:
        del self._running[running.wanted.step.name]
        running.claim.release()
        log = self._kept_log(running)
        shutil.rmtree(running.job.room, ignore_errors=True)
        return Ended(wanted=running.wanted, outcome=outcome, log=log)

    def _kept_log(self, running: _Running) -> str:
        """Move what a step printed beside the run; where to, or nothing if it printed nothing."""
        log = running.job.log
        if not log.is_file() or not log.stat().st_size:
            return ""
        place = self._logs / f"{running.wanted.step.name}.log"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(log, place)
        except OSError:  # a full disk costs the log, and is told for what matters more
            return ""
        return str(place)
