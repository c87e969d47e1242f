"""What was at a place of a project: contents of sources, as its files and locks tell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlops_compile.api.roots import lock_texts
from mlops_compile.ir.lock import decode
from mlops_compile.ir.problem import CompileError, StoreError
from mlops_compile.ir.source import Source
from mlops_compile.steps.sources.kind import file_digest
from mlops_compile.steps.sources.patterns import fixed_part, is_pattern
from mlops_compile.store.store import Store


def contents_at(project: Path, what: str, store: Store) -> Iterator[str]:
    """Digests that are known to have been at a place: of the file that is there, and what locks of
    the project (its own, of commits, of run directories) name by that location. Of a file that is
    in a folder, its own, where the file or the folder's list in the store tells it."""
    for place in (Path(what), project / what):
        if place.is_file():
            yield file_digest(place).sha256
    for source in sources_of(project):
        if _place(project, source.location) == _place(project, what):
            yield source.digest.sha256
        elif source.files is not None:
            yield from _file_in(source, project, what, store)


def sources_of(project: Path) -> Iterator[Source]:
    """The sources of all locks of a project, as far as these can be read."""
    for name, text in lock_texts(project):
        try:
            lock = decode(text, name)
        except CompileError:
            continue
        yield from (source for _, source in lock.sources)


def _file_in(source: Source, project: Path, what: str, store: Store) -> Iterator[str]:
    location = source.location
    folder = fixed_part(location) if is_pattern(location) else location
    name = os.path.relpath(_place(project, what), _place(project, folder))
    try:
        files = dict(store.blobs.tree(source.digest))
    except StoreError:
        return
    if name in files:
        yield files[name].sha256


def _place(project: Path, location: str) -> str:
    """Where a location is, whichever way it is written; a URI stands for itself."""
    path = location.removeprefix("file://")
    return path if "://" in path else os.path.abspath(project / path)
