"""Arrive: data that `init` is given, brought to this machine, and the kind of source that it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_compile.ir.problem import CompileError
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import link_tree
from mlops_compile.steps.sources.parquet import ENDINGS
from mlops_compile.steps.sources.places import many_files, path_problems
from mlops_compile.steps.sources.unpacking import UNPACKING, open_unpacked

_HEAD_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Data that is here, as a file or a directory of links to several. `spec` are the keys of its
    source, `stated` those of its options that were set on purpose."""

    path: Path
    spec: Any
    stated: frozenset[str] = frozenset()


def arrive(data: str, room: Path) -> tuple[str, Path]:
    """The kind of source at a path, pattern or URI, and where it is on this machine: what has to be
    fetched is in `room`. CompileError where there is nothing, or where the URI holds a secret."""
    if found := [*path_problems(data)]:
        raise CompileError(found)
    files = many_files(data, Path(), ENDINGS)
    for place in files.places:
        place.stamp()  # says what is not there
    if files.tree:
        here = {place.name: place.fetch(room / "fetched") for place in files.places}
        return "parquet", link_tree(room / "tree", here)
    path = files.places[0].fetch(room / "fetched")
    return _kind(path), path


def ask(spec: Any, room: Path) -> Path:
    """The rows of a source that is asked for them, as a file in `room`."""
    (place,) = SOURCES[spec.kind].files(spec, Path()).places
    return place.fetch(room)


def _kind(path: Path) -> str:
    """The kind of source that a file's beginning tells."""
    try:
        with open_unpacked(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except UNPACKING:  # is said by what reads it as text
        return "csv"
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"
