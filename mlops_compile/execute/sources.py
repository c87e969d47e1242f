"""Sources at run time: refused before anything runs, or copied into the store and read there."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.ir.digest import Digest, digest_of
from mlops_compile.ir.plan import Step
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map
from mlops_compile.steps.acquire import source_spec
from mlops_compile.steps.sources.kind import (
    Files,
    combined,
    file_digest,
    link_tree,
    tree_text,
)
from mlops_compile.steps.sources.places import is_uri
from mlops_compile.store.blobs import BlobStore, MissingBlob

_HINT = "put the locked file back, or compile again to lock what is there now"


def source_problems(step: Step, source: Source, blobs: BlobStore, project: Path) -> list[Problem]:
    """Why a step cannot read the source as it was locked; nothing if it can."""
    kind, spec = source_spec(step.params, source)
    if kind.snapshot and _in_store(source, blobs):
        return []
    where = ("sources", str(step.source))
    try:
        files = kind.files(spec, project)
        if kind.once:
            return []  # it is asked again, and what it gives is judged
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
    if source.files is not None and len(files.places) != source.files:
        message += f": it has {_counted(len(files.places))}, and {source.files} were locked"
    return [problem("source-changed", message, where, _HINT)]


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def snapshot(
    params: Map, source: Source, blobs: BlobStore, project: Path, room: Path
) -> Path | None:
    """The verified file of a source in the store, copied there first (by way of `room`) if it is
    not yet; of a folder, a directory below `room` of links to such files. None for a kind that
    needs no copy."""
    kind, spec = source_spec(params, source)
    if not kind.snapshot:
        return None
    if not _in_store(source, blobs):
        _copy(kind.files(spec, project), source, blobs, room)
    if source.files is None:
        return blobs.read(source.digest)
    files = {name: blobs.read(digest) for name, digest in blobs.tree(source.digest)}
    return link_tree(room / "snapshot", files)


def _digest(files: Files) -> Digest:
    """The digest of files of this machine, as compiling finds it."""
    found = {place.name: file_digest(place.fetch(Path())) for place in files.places}
    return digest_of(tree_text(found)) if files.tree else combined(list(found.values()))


def _copy(files: Files, source: Source, blobs: BlobStore, room: Path) -> None:
    """Copy a source into the store; CompileError where it is not what was locked."""
    copy, fetched = room / "copy", room / "fetched"
    found: dict[str, Digest] = {}
    for place in files.places:
        file = place.fetch(fetched)
        wanted = file_digest(file) if files.tree else source.digest
        found[place.name] = wanted
        if not blobs.import_file(file, copy, wanted):
            raise _changed(source)
        if file.is_relative_to(fetched):
            file.unlink()
    if files.tree:
        text = room / "files"
        text.write_bytes(tree_text(found))
        if not blobs.import_file(text, copy, source.digest):
            raise _changed(source)


def _changed(source: Source) -> CompileError:
    message = f"{source.location} is not what was locked; it changed since then"
    return CompileError([problem("source-changed", message, hint=_HINT)])


def _in_store(source: Source, blobs: BlobStore) -> bool:
    try:
        blobs.read(source.digest)
        if source.files is not None:
            for _, digest in blobs.tree(source.digest):
                blobs.read(digest)
    except MissingBlob:
        return False
    return True
