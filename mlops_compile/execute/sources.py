"""Sources at run time: refused before anything runs, or copied into the store and read there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.steps.acquire import source_spec
from mlops_compile.steps.sources.kind import combined, file_digest
from mlops_compile.store.blobs import BlobStore, MissingBlob
from mlops_compile.store.store import Store

_HINT = "put the locked file back, or compile again to lock what is there now"


def source_problems(
    step: Step, source: Source, store: Store, locate: Callable[[Source], Path]
) -> list[Problem]:
    """Why a step cannot read the source as it was locked; nothing if it can.

    `locate` gives the file of a source that is copied into the store before it is read.
    """
    kind, spec = source_spec(step.params, source)
    if kind.snapshot and _in_store(source, store):
        return []
    files = (locate(source),) if kind.snapshot else kind.files(spec)
    where = ("sources", str(step.source))
    try:
        if gone := [file for file in files if not file.is_file()]:
            message = (
                f"there is no file {source.location}, and the store has no whole snapshot of it"
            )
            hint = _HINT if kind.snapshot else f"{gone[0].name} belongs to an installed package"
            return [problem("no-file", message, where, hint)]
        size = sum(file.stat().st_size for file in files)
        if size == source.digest.size and combined([*map(file_digest, files)]) == source.digest:
            return []
    except OSError as error:
        message = f"{source.location} cannot be read: {error.strerror or error}"
        return [problem("source", message, where)]
    message = f"{source.location} is not what was locked, and the store has no snapshot of that"
    return [problem("source-changed", message, where, _HINT)]


def snapshot(
    params: Map, source: Source, blobs: BlobStore, original: Path, copy: Path
) -> Path | None:
    """The verified file of a source in the store, copied there first from `original` (by way of
    `copy`) if it is not yet; None for a kind that needs no copy."""
    if not source_spec(params, source)[0].snapshot:
        return None
    try:
        return blobs.read(source.digest)
    except MissingBlob:
        if not blobs.import_file(original, copy, source.digest):
            message = f"{source.location} is not what was locked; it changed since then"
            raise CompileError([problem("source-changed", message, hint=_HINT)]) from None
        return blobs.read(source.digest)


def _in_store(source: Source, store: Store) -> bool:
    try:
        store.blobs.read(source.digest)
    except MissingBlob:
        return False
    return True
