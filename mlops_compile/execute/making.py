"""Steps under way: in the hands of a worker, then on their way into the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_compile.execute.committer import Commit, Committer
from mlops_compile.execute.failures import differs, lost_worker, over_memory
from mlops_compile.execute.interrupts import Interrupts
from mlops_compile.execute.messages import Job, Outcome
from mlops_compile.execute.pool import Worker, Workers
from mlops_compile.execute.resources import memory_of
from mlops_compile.execute.wanted import Wanted
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import own_name
from mlops_compile.ir.problem import ProblemsError
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.steps.kinds import kind_of
from mlops_compile.store.actions import Action
from mlops_compile.store.claims import Claim
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store

_LOOK = 0.05  # seconds between two looks at the memory of workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A step that is not under way any more.

    It is in the store, unless it has not begun for want of inputs, its outcome has problems, or
    `error` says why it could not be stored. `log` is the file of what it printed, if it printed
    something.
    """

    wanted: Wanted
    outcome: Outcome
    log: str
    error: ProblemsError | None = None


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
        interrupts: Interrupts,
        memory: int | None,
        logs: Path,
        clock: Callable[[], float],
    ) -> None:
        self._lock = lock
        self._workers = workers
        self._interrupts = interrupts
        self._memory = memory
        self._logs = logs
        self._clock = clock
        self._blobs = store.blobs
        self._committer = Committer(store)
        self._running: dict[str, _Running] = {}
        self._storing: dict[str, _Storing] = {}
        self._keys: dict[str, str] = {}
        self._sound: set[str] = set()
        self._logged: set[str] = set()

    @property
    def steps(self) -> Set[str]:
        """The names of the steps under way."""
        return self._running.keys() | self._storing.keys()

    @property
    def keys(self) -> Set[str]:
        """The keys of the actions under way."""
        return self._keys.keys()

    @property
    def threaded(self) -> int:
        """How many steps are at work that more threads make faster."""
        return sum(kind_of(running.job.kind).threaded for running in self._running.values())

    def sound(self, inputs: Mapping[str, Digest]) -> tuple[str, ...]:
        """The ports whose bytes this run has verified, or written."""
        return tuple(port for port, digest in inputs.items() if digest.sha256 in self._sound)

    def start(self, wanted: Wanted, claim: Claim, worker: Worker, job: Job) -> None:
        """Give a step to an idle worker; its claim is kept until it has ended."""
        name = wanted.step.name
        self._running[name] = _Running(wanted=wanted, claim=claim, worker=worker, job=job)
        self._keys[wanted.key] = name
        with self._interrupts.at_once():  # a worker that imports ahead may be slow to listen
            worker.give(job)

    def ended(self, seconds: float | None) -> Iterator[Ended]:
        """What has ended, once something has; after so many seconds at most, if they are given."""
        if self._memory is not None:
            seconds = min(_LOOK, seconds or _LOOK)
        stored, stopped = self._committer.fileno(), self._interrupts.fileno()
        talking, others = self._workers.ready(seconds, stored, stopped)
        self._interrupts.check()
        if stored in others:
            for commit in self._committer.finished():
                yield self._stored(commit)
        for worker in talking:
            if found := self._listen(worker):
                yield found
        for running in [*self._running.values()] if self._memory is not None else []:
            if running.wanted.step.name in self._running and (found := self._over(running)):
                yield found

    def close(self) -> None:
        """Nothing is under way any more: workers at work are killed, and what is made is stored,
        unless that takes long."""
        self._workers.stop()
        self._committer.close()
        for running in [*self._running.values(), *(s.running for s in self._storing.values())]:
            running.claim.release()

    def _listen(self, worker: Worker) -> Ended | None:
        running = next((run for run in self._running.values() if run.worker is worker), None)
        try:
            outcome = worker.hear()
        except EOFError:
            ending, said = worker.ending(), worker.said()
            self._workers.remove(worker)
            if running is None:
                return None
            return self._unmade(running, lost_worker(running.wanted.step, ending, said), said)
        if outcome is None or running is None:
            return None
        if outcome.lost or outcome.problems:
            self._sound -= {running.wanted.inputs[port].sha256 for port in outcome.lost}
            return self._unmade(running, outcome)
        self._sound |= {digest.sha256 for digest in running.wanted.inputs.values()}
        before = running.wanted.before
        if before is not None and before != outcome.outputs:
            return self._unmade(running, replace(differs(running.job.step), notes=outcome.notes))
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
        about = outcome.told
        if step.source is not None:
            about = self._about(self._lock.source(step.source))
        return Action(
            step=own_name(step.name),
            kind=step.kind,
            preimage=running.wanted.preimage,
            outputs=outcome.outputs,
            blobs=tuple(sorted({digest for _, digest in outcome.files})),
            seconds=outcome.seconds,
            plan=running.wanted.plan,
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
        del self._keys[storing.running.wanted.key]
        storing.running.claim.release()
        if commit.error is None:
            self._sound |= {digest.sha256 for _, digest in storing.outcome.files}
        return Ended(
            wanted=storing.running.wanted,
            outcome=storing.outcome,
            log=storing.log,
            error=commit.error,
        )

    def _over(self, running: _Running) -> Ended | None:
        """Of the memory that the worker has more than before the step's own work began."""
        most, held = self._memory, running.worker.held
        if most is None or held is None:
            return None
        used = memory_of(running.worker.pid) - held
        if used <= most:
            return None
        self._workers.remove(running.worker)
        return self._unmade(running, over_memory(running.wanted.step, used, most))

    def _unmade(self, running: _Running, outcome: Outcome, said: str = "") -> Ended:
        del self._running[running.wanted.step.name]
        del self._keys[running.wanted.key]
        running.claim.release()
        log = self._kept_log(running, said)
        shutil.rmtree(running.job.room, ignore_errors=True)
        return Ended(wanted=running.wanted, outcome=outcome, log=log)

    def _kept_log(self, running: _Running, said: str = "") -> str:
        """Keep what a step printed, and what its worker said outside of it, beside the run; where,
        or nothing if there is nothing."""
        log = running.job.log
        printed = log.is_file() and log.stat().st_size > 0
        if not printed and not said:
            return ""
        place = self._logs / f"{running.wanted.step.name}.log"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            tried = running.wanted.step.name in self._logged  # what an earlier try said stays
            with place.open("ab" if tried else "wb") as file:
                if printed:
                    with log.open("rb") as text:
                        shutil.copyfileobj(text, file)
                file.write(said.encode("utf-8", "replace"))
            self._logged.add(running.wanted.step.name)
        except OSError:  # a full disk costs the log, and is told for what matters more
            return ""
        return str(place)
