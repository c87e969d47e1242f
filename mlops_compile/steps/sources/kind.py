"""What a source kind declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_compile.ir.digest import Digest, digest_of, digest_of_stream
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import KeyPath, canonical, dotted


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What looking at a source found: its rows, its columns, and the target's distinct values.

    `levels` are texts in code point order; empty where no target was asked for, or where the
    target has more than `MOST_LEVELS` of them.
    """

    rows: int
    columns: tuple[ColumnFact, ...]
    levels: tuple[str, ...] = ()


MOST_LEVELS = 1000
SOURCE_KEYS: KeyPath = ("data", "source")


def file_digest(file: Path) -> Digest:
    """The digest of a file's bytes."""
    with file.open("rb", buffering=0) as stream:
        return digest_of_stream(stream)


def combined(digests: Sequence[Digest]) -> Digest:
    """One digest of a source's files: that of the only one, or of the list of theirs."""
    if len(digests) == 1:
        return digests[0]
    text = canonical(tuple(digest.sha256 for digest in digests))
    return Digest(sha256=digest_of(text).sha256, size=sum(digest.size for digest in digests))


def where_is(file: Path) -> str:
    """What to do about a file that is not there: the nearest name of its folder or the project."""
    import difflib  # only on the way to an error

    if str(file).startswith("~") or "/~" in str(file):
        return "a ~ is not unfolded here: write the whole path, or one relative to the project"
    if re.match(r"\w{2,}:/", str(file)):
        return "data is read from this machine: download it first"
    if re.search(r"(?:^|/)\$\{?[A-Z_]+", str(file)):
        return "a $NAME of the shell is not unfolded here: write ${oc.env:NAME}, with env: [NAME]"
    for place in dict.fromkeys((file.parent, Path())):
        names = [item.name for item in place.iterdir()] if place.is_dir() else []
        if near := difflib.get_close_matches(file.name, names, n=1, cutoff=0.6):
            return f"did you mean {str(place / near[0])!r}?"
    return f"paths are relative to the project ({Path.cwd()})"


def moved(error: CompileError, where: KeyPath) -> CompileError:
    """The same error of a source whose keys stand elsewhere than under `data.source`."""
    if where == SOURCE_KEYS:
        return error
    usual, here = f"{dotted(SOURCE_KEYS)}.", f"{dotted(where)}."
    return CompileError(
        replace(
            found,
            where=(*where, *found.where[2:]) if found.where[:2] == SOURCE_KEYS else found.where,
            message=found.message.replace(usual, here),
            hint=found.hint.replace(usual, here),
        )
        for found in error.problems
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """A kind of source.

    `spec` is the dataclass of the keys under `data.source`. `files(spec)` are the files whose
    bytes are its content; `snapshot` says whether they are copied into the store before they are
    read (else they belong to an installed distribution). `scan(files, spec, types, target)` finds
    the facts; `types` are storage types that the config asks for. `read(files, spec, source, out)`
    writes the table as an Arrow file. Both raise ProblemsError with sentences for people. The key
    `place` says where a source is.
    """

    name: str
    spec: type[Any]
    distributions: tuple[str, ...]
    snapshot: bool
    files: Callable[[Any], tuple[Path, ...]]
    location: Callable[[Any], str]
    scan: Callable[[tuple[Path, ...], Any, Mapping[str, str], str], Facts]
    read: Callable[[tuple[Path, ...], Any, Source, Path], None]
    place: str = "path"
