"""What a step reads: verified files of the store, trees checked out once, a source's snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops_compile.execute.sources import snapshot
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.source import Source
from mlops_compile.steps.kinds import kind_of
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store


class LostInputs(Exception):
    """Inputs that the store has no longer, or whose bytes were wrong: `ports` names them."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        super().__init__(", ".join(ports))
        self.ports = ports


class Inputs:
    """Brings a step's inputs to where its worker reads them."""

    def __init__(self, lock: Lock, store: Store, locate: Callable[[Source], Path]) -> None:
        self._lock = lock
        self._store = store
        self._locate = locate

    def bring(self, step: Step, digests: Mapping[str, Digest], scratch: Path) -> Mapping[str, Path]:
        """The verified inputs of a step, by port: files of the store, to read only, and
        directories below `scratch`. LostInputs where there are none."""
        found, lost = {}, []
        for port, ref in step.inputs:
            try:
                tree = ref.output in kind_of(self._lock.plan[ref.step].kind).trees
                found[port] = self._read(digests[port], tree, scratch)
            except MissingBlob:
                lost.append(port)
        if lost:
            raise LostInputs(tuple(lost))
        return found

    def _read(self, digest: Digest, tree: bool, scratch: Path) -> Path:
        if not tree:
            return self._store.blobs.read(digest)
        place = scratch / f"tree-{digest.sha256}"
        if not place.exists():
            part = scratch / f"part-{digest.sha256}"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            self._store.blobs.checkout(digest, part)
            part.rename(place)
        return place

    def snapshot(self, step: Step, room: Path) -> Path | None:
        """The verified snapshot of a step's source, taken now if it is not in the store yet."""
        if step.source is None:
            return None
        source = self._lock.source(step.source)
        return snapshot(step, source, self._store, self._locate, room)
