"""Sources at run time: refused before anything runs, or copied into the store and read there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import Source
from mlops_compile.steps.acquire import source_spec
from mlops_compile.steps.sources.kind import (
    Files,
    SourceKind,
    combined,
    file_digest,
    link_tree,
    tree_text,
)
from mlops_compile.steps.sources.places import is_uri
from mlops_compile.store.blobs import MissingBlob
from mlops_compile.store.store import Store

_HINT = "put the locked file back, or compile again to lock what is there now"


def source_problems(
    step: Step, source: Source, store: Store, locate: Callable[[Source], Path]
) -> list[Problem]:
    """Why a step cannot read the source as it was locked; nothing if it can.

    `locate` gives the file or folder of a source of this machine that is copied into the store
    before it is read.
    """
    kind, spec = source_spec(step.params, source)
    if kind.snapshot and _in_store(source, store):
        return []
    where = ("sources", str(step.source))
    try:
        files = _files(kind, spec, source, locate)
        if gone := [place for place in files.places if place.is_gone]:
            message = (
                f"there is no file {source.location}, and the store has no whole snapshot of it"
            )
            hint = _HINT if kind.snapshot else f"{gone[0].name} belongs to an installed package"
            return [problem("no-file", message, where, hint)]
        if is_uri(source.location) or _digest(files) == source.digest:
            return []  # of what is elsewhere, the copy is judged
    except CompileError as error:
        return [problem(found.code, found.message, where, _HINT) for found in error.problems]
    except OSError as error:
        message = f"{source.location} cannot be read: {error.strerror or error}"
        return [problem("source", message, where)]
    message = f"{source.location} is not what was locked, and the store has no snapshot of that"
    return [problem("source-changed", message, where, _HINT)]


def snapshot(
    step: Step, source: Source, store: Store, locate: Callable[[Source], Path], room: Path
) -> Path | None:
    """The verified file of a source in the store, copied there first (by way of `room`) if it is
    not yet; of a folder, a directory below `room` of links to such files. None for a kind that
    needs no copy."""
    kind, spec = source_spec(step.params, source)
    if not kind.snapshot:
        return None
    if not _in_store(source, store):
        _copy(_files(kind, spec, source, locate), source, store, room)
    if source.files is None:
        return store.blobs.read(source.digest)
    files = {name: store.blobs.read(digest) for name, digest in store.blobs.tree(source.digest)}
    return link_tree(room / "snapshot", files)


def _files(kind: SourceKind, spec: Any, source: Source, locate: Callable[[Source], Path]) -> Files:
    if kind.snapshot and not is_uri(source.location):
        if not source.location.startswith("file://"):
            spec = dataclasses.replace(spec, path=str(locate(source)))
    return kind.files(spec, Path())


def _digest(files: Files) -> Digest:
    """The digest of files of this machine, as compiling finds it."""
    found = {place.name: file_digest(place.fetch(Path())) for place in files.places}
    return digest_of(tree_text(found)) if files.tree else combined(list(found.values()))


def _copy(files: Files, source: Source, store: Store, room: Path) -> None:
    """Copy a source into the store; CompileError where it is not what was locked."""
    copy, fetched = room / "copy", room / "fetched"
    found: dict[str, Digest] = {}
    for place in files.places:
        file = place.fetch(fetched)
        wanted = file_digest(file) if files.tree else source.digest
        found[place.name] = wanted
        if not store.blobs.import_file(file, copy, wanted):
            raise _changed(source)
        if file.is_relative_to(fetched):
            file.unlink()
    if files.tree:
        text = room / "files"
        text.write_bytes(tree_text(found))
        if not store.blobs.import_file(text, copy, source.digest):
            raise _changed(source)


def _changed(source: Source) -> CompileError:
    message = f"{source.location} is not what was locked; it changed since then"
    return CompileError([problem("source-changed", message, hint=_HINT)])


def _in_store(source: Source, store: Store) -> bool:
    try:
        store.blobs.read(source.digest)
        if source.files is not None:
            for _, digest in store.blobs.tree(source.digest):
                store.blobs.read(digest)
    except MissingBlob:
        return False
    return True
