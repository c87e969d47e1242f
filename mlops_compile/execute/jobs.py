"""Jobs: a step with everything that a worker needs for it, in a room of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mlops_compile.execute.failures import not_written
from mlops_compile.execute.messages import Job
from mlops_compile.execute.wanted import Wanted
from mlops_compile.ir.code import LocatedCode
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock, encode
from mlops_compile.ir.problem import StoreError
from mlops_compile.steps.kinds import kind_of
from mlops_compile.store.store import Store


class Jobs:
    """Makes jobs in a run's own directory, by which a collection knows that the run goes on. Within
    its `with` the directory is there; where there can be none, as in a store that cannot be
    written, `make` says why: a run whose results are all there needs no job."""

    def __init__(
        self,
        lock: Lock,
        needs: Mapping[str, Needs],
        store: Store,
        project: Path,
        limited: bool,
    ) -> None:
        self._lock = lock
        self._needs = needs
        self._store = store
        self._project = project
        self._limited = limited
        roots = tuple(_absolute(project / root) for root in lock.code.roots)
        self._code = LocatedCode(code=lock.code, roots=roots)
        self._trees = {step.name: kind_of(step.kind).trees for step in lock.plan.steps}
        self._held = ExitStack()
        self._scratch: Path | StoreError | None = None
        self._rooms = 0

    def __enter__(self) -> Jobs:
        try:
            self._scratch = self._held.enter_context(self._store.scratch(encode(self._lock)))
        except StoreError as error:
            self._scratch = error
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def make(self, wanted: Wanted, sound: tuple[str, ...], threads: int) -> Job:
        """The job of a step; `sound` are the inputs that need not be verified. StoreError where
        there can be no room for it."""
        step = wanted.step
        source = self._lock.source(step.source) if step.source else None
        return Job(
            step=step.name,
            kind=step.kind,
            params=step.params,
            store=_absolute(self._store.root),
            inputs=wanted.inputs,
            trees=tuple(port for port, ref in step.inputs if ref.output in self._trees[ref.step]),
            sound=sound,
            outputs=step.outputs,
            room=self._room(step.name),
            key=wanted.key,
            threads=threads if kind_of(step.kind).threaded else 1,
            seed=step.seed,
            source=source,
            project=_absolute(self._project),
            contract=self._lock.contract_of(step.name) if self._needs[step.name].contract else None,
            tells_begin=self._limited,
            code=self._code if self._needs[step.name].functions else None,
        )

    def _room(self, step: str) -> Path:
        """A directory of a step's own, on the store's file system."""
        if isinstance(self._scratch, StoreError):
            raise self._scratch
        assert self._scratch is not None
        self._rooms += 1
        room = _absolute(self._scratch) / str(self._rooms)
        try:
            room.mkdir()
        except OSError as error:
            raise not_written(step, error) from None
        return room


def _absolute(path: Path) -> Path:
    """As a worker finds it, which may stand in another directory."""
    return Path(os.path.abspath(path))
