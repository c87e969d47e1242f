"""What a step reads: verified files of the store, trees checked out once, a source's snapshot.

Brought by the worker that runs the step: others start meanwhile, and it ends when it is killed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.execute.messages import Job
from mlops_compile.execute.sources import snapshot
from mlops_compile.ir.digest import Digest
from mlops_compile.store.blobs import BlobStore, MissingBlob
from mlops_compile.store.guard import Guard


class LostInputs(Exception):
    """Inputs that the store has no longer, or whose bytes were wrong: `ports` names them."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        super().__init__(", ".join(ports))
        self.ports = ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The places of a step's inputs by port, and of its source's snapshot; all to read only."""

    places: Mapping[str, Path]
    snapshot: Path | None


def bring(job: Job) -> Inputs:
    """Verify, check out and copy what a step reads. LostInputs where the store has it no longer;
    CompileError where a source is not as it was locked."""
    blobs = BlobStore(job.store, Guard(job.store))
    blobs.wrote(job.inputs[port].sha256 for port in job.sound)
    found, lost = {}, []
    for port, digest in job.inputs.items():
        try:
            found[port] = _tree(blobs, digest, job) if port in job.trees else blobs.read(digest)
        except MissingBlob:
            lost.append(port)
    if lost:
        raise LostInputs(tuple(lost))
    copy = None
    if job.source is not None:
        copy = snapshot(job.params, job.source, blobs, job.project, job.room)
    return Inputs(places=found, snapshot=copy)


def _tree(blobs: BlobStore, digest: Digest, job: Job) -> Path:
    """A directory beside the rooms, which all steps of the run share."""
    place = job.room.parent / f"tree-{digest.sha256}"
    if place.exists():
        return place
    part = job.room / f"part-{digest.sha256}"
    part.mkdir()
    blobs.checkout(digest, part)
    try:
        part.rename(place)
    except OSError:
        if not place.exists():
            raise
        shutil.rmtree(part)  # another worker was quicker
    return place
