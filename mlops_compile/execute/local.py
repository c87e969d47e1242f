"""Runs a lock's steps one after another in this process."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops_compile.execute.observer import Observer
from mlops_compile.execute.platform import machine, this_platform
from mlops_compile.execute.sources import snapshot, source_problems
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import Needs, action_preimage, key_of
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, ProblemsError, StepError, StoreError, problem
from mlops_compile.ir.record import RunRecord, StepResult
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, parse
from mlops_compile.steps.kind import Work
from mlops_compile.steps.kinds import KINDS, needs_of
from mlops_compile.store.actions import Action
from mlops_compile.store.blobs import MissingBlob, stage
from mlops_compile.store.commit import Staged
from mlops_compile.store.store import Store


def execute(
    lock: Lock,
    store: Store,
    locate: Callable[[Source], Path],
    observer: Observer,
    threads: int,
) -> RunRecord:
    """Run what is not in the store yet; the record says what each step made.

    `locate` gives the file of a source. Steps behind a failed one are skipped. Raises CompileError
    before anything runs where a source is neither as locked nor in the store.
    """
    needs = needs_of(lock)
    with store.scratch() as scratch:
        return _Run(lock, needs, store, locate, observer, threads, scratch).record()


class _Run:
    """One run: what is known so far, by step name."""

    def __init__(
        self,
        lock: Lock,
        needs: Mapping[str, Needs],
        store: Store,
        locate: Callable[[Source], Path],
        observer: Observer,
        threads: int,
        scratch: Path,
    ) -> None:
        self._lock = lock
        self._needs = needs
        self._store = store
        self._locate = locate
        self._observer = observer
        self._threads = threads
        self._scratch = scratch
        self._platform = this_platform()
        self._results: dict[str, StepResult] = {}
        self._rooms = 0

    def record(self) -> RunRecord:
        self._check_sources()
        for step in self._lock.plan.steps:
            result = self._take(step)
            self._results[step.name] = result
            self._observer.finished(result)
        return RunRecord(
            lock=self._lock,
            results=tuple(self._results.values()),
            platform=machine(),
            metrics=self._metrics(),
        )

    def _take(self, step: Step) -> StepResult:
        """The result of a step whose inputs are settled: a hit, a run, or why there is none."""
        behind = sorted({ref.step for _, ref in step.inputs if not self._done(ref.step)})
        if behind:
            why = f"{', '.join(behind)} has no result"
            return StepResult(step=step.name, kind=step.kind, status="skipped", error=why)
        preimage = self._preimage(step)
        key = key_of(preimage)
        action = self._store.find(key)
        if action is not None:
            return StepResult(
                step=step.name,
                kind=step.kind,
                status="hit",
                action=key,
                outputs=action.outputs,
                seconds=action.seconds,
            )
        self._observer.started(step)
        start = time.monotonic()
        try:
            action = self._make(step, preimage)
        except ProblemsError as error:
            return self._failed(step, key, error, time.monotonic() - start)
        except OSError as error:
            message = f"{step.name} cannot write its results: {error.strerror or error}"
            hint = "make room, or set store.uri to another disk; what is stored stays whole"
            full = StoreError([problem("disk", message, hint=hint)])
            return self._failed(step, key, full, time.monotonic() - start)
        return self._ran(step, key, action)

    def _ran(self, step: Step, key: str, action: Action) -> StepResult:
        return StepResult(
            step=step.name,
            kind=step.kind,
            status="ran",
            action=key,
            outputs=action.outputs,
            seconds=action.seconds,
        )

    def _failed(self, step: Step, key: str, error: ProblemsError, seconds: float) -> StepResult:
        code = StepError.exit_code if isinstance(error, CompileError) else error.exit_code
        return StepResult(
            step=step.name,
            kind=step.kind,
            status="failed",
            action=key,
            seconds=seconds,
            error=str(error),
            problems=error.problems,
            exit_code=code,
        )

    def _done(self, name: str) -> bool:
        return self._results[name].status in ("ran", "hit")

    def _preimage(self, step: Step) -> Map:
        inputs = {port: self._results[ref.step].output(ref.output) for port, ref in step.inputs}
        return action_preimage(self._lock, step, self._needs[step.name], inputs, self._platform)

    def _make(self, step: Step, preimage: Map) -> Action:
        """Run a step and record what it made; its outputs are in the store before its record is."""
        start = time.monotonic()
        kind = KINDS[step.kind]
        room = self._room()
        outputs = {port: room / "out" / port for port in step.outputs}
        for port in step.outputs:
            place = outputs[port] if port in kind.trees else outputs[port].parent
            place.mkdir(parents=True, exist_ok=True)
        inputs = {
            port: self._input(ref.step, ref.output, room / "in" / port) for port, ref in step.inputs
        }
        work = Work(
            step=step.name,
            params=step.params,
            inputs=inputs,
            digests={p: self._results[r.step].output(r.output) for p, r in step.inputs},
            outputs=outputs,
            threads=self._threads,
            seed=step.seed,
            source=self._lock.source(step.source) if step.source else None,
            snapshot=self._snapshot(step),
            contract=self._lock.contract if self._needs[step.name].contract else None,
        )
        self._work(step, work)
        made: list[tuple[str, Digest]] = []
        files: list[tuple[Path, Digest]] = []
        for port, path in sorted(outputs.items()):
            if not path.exists():
                message = f"{step.name} did not write its output {port!r}"
                raise StepError([problem("bug", message, hint="this is a bug of mlops_compile")])
            digest, parts = stage(path, port in kind.trees, room / f"{port}.tree")
            made.append((port, digest))
            files += parts
        action = Action(
            step=step.name,
            kind=step.kind,
            preimage=preimage,
            outputs=tuple(made),
            blobs=tuple(sorted({digest for _, digest in files})),
            seconds=time.monotonic() - start,
            made=time.time(),
        )
        self._store.commit(
            [Staged(key=key_of(preimage), action=action, files=tuple(files))],
        )
        return action

    def _work(self, step: Step, work: Work) -> None:
        """Call the kind's function; a library's warnings become notes, its errors a sentence."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                KINDS[step.kind].load()(work)
            except (ProblemsError, OSError):
                raise
            except Exception as error:
                message = f"{step.name} failed: {type(error).__name__}: {error}"
                hint = "the traceback is in the run's log; this is a bug of mlops_compile"
                self._observer.noted(step, traceback.format_exc())
                raise StepError([problem("bug", message, hint=hint)]) from error
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            self._observer.noted(step, text)

    def _input(self, maker: str, port: str, place: Path) -> Path:
        """A verified input; one that was lost or damaged is made again first."""
        digest = self._results[maker].output(port)
        tree = port in KINDS[self._lock.plan[maker].kind].trees
        try:
            return self._read(digest, tree, place)
        except MissingBlob:
            step = self._lock.plan[maker]
            self._observer.noted(step, f"{maker}.{port} is damaged in the store; making it again")
            self._observer.started(step)
            preimage = self._preimage(step)
            action = self._make(step, preimage)
            self._results[maker] = self._ran(step, key_of(preimage), action)
            self._observer.finished(self._results[maker])
            if dict(action.outputs)[port] != digest:
                message = f"{maker} gave another {port} than before from equal causes"
                hint = "the step is not reproducible on this machine; see docs/determinism.md"
                raise StoreError([problem("differs", message, hint=hint)]) from None
            return self._read(digest, tree, place)

    def _read(self, digest: Digest, tree: bool, place: Path) -> Path:
        if not tree:
            return self._store.blobs.read(digest)
        place.mkdir(parents=True, exist_ok=True)
        self._store.blobs.checkout(digest, place)
        return place

    def _check_sources(self) -> None:
        """Refuse a lock whose source has changed and has no snapshot, before anything runs."""
        found = []
        for step in self._lock.plan.steps:
            if step.source is None or self._store.find(key_of(self._preimage(step))):
                continue
            source = self._lock.source(step.source)
            found += source_problems(step, source, self._store, self._locate)
        if found:
            raise CompileError(found)

    def _snapshot(self, step: Step) -> Path | None:
        if step.source is None:
            return None
        copy = self._room() / "snapshot"
        source = self._lock.source(step.source)
        return snapshot(step, source, self._store, self._locate, copy)

    def _room(self) -> Path:
        self._rooms += 1
        room = self._scratch / str(self._rooms)
        room.mkdir()
        return room

    def _metrics(self) -> Map:
        for result in self._results.values():
            if result.kind == "evaluate" and result.outputs:
                value = parse(self._input(result.step, "metrics", self._room()).read_bytes())
                assert isinstance(value, Map)
                return value
        return Map()
