"""What a source kind declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mlops_compile.ir.digest import Digest, digest_of, digest_of_stream
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.source import ColumnFact, Misfit, Source
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What looking at a source found: its rows, its columns, and the target's distinct values.

    `levels` are texts in code point order; empty where no target was asked for, or where the
    target has more than `MOST_LEVELS` of them. `nearly` names columns of texts of which nearly all
    are `numeric` or `datetime`.
    """

    rows: int
    columns: tuple[ColumnFact, ...]
    levels: tuple[str, ...] = ()
    nearly: tuple[tuple[str, str], ...] = ()


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


def tree_text(digests: Mapping[str, Digest]) -> bytes:
    """The text that stands for several files in the store: their names and digests."""
    return canonical(Map({name: digest.to_dict() for name, digest in digests.items()}))


def link_tree(directory: Path, files: Mapping[str, Path]) -> Path:
    """A directory of links to files, by their names below it."""
    for name, file in files.items():
        link = directory / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.absolute())
    return directory


def where_is(file: Path) -> str:
    """What to do about a file that is not there: the nearest name of its folder or the project."""
    import difflib  # only on the way to an error

    if str(file).startswith("~") or "/~" in str(file):
        return "a ~ is not unfolded here: write the whole path, or one relative to the project"
    if re.match(r"\w{2,}:/(?!/)", str(file)):
        return "a URI has two slashes behind the colon: s3://bucket/file"
    if re.search(r"(?:^|/)\$\{?[A-Z_]+", str(file)):
        return "a $NAME of the shell is not unfolded here: write ${oc.env:NAME}, with env: [NAME]"
    for place in dict.fromkeys((file.parent, Path())):
        names = [item.name for item in place.iterdir()] if place.is_dir() else []
        if near := difflib.get_close_matches(file.name, names, n=1, cutoff=0.6):
            return f"did you mean {str(place / near[0])!r}?"
    return f"paths are relative to the project ({Path.cwd()})"


class Place(Protocol):
    """A file of a source, wherever it is. `name` is its path below the source's own.

    CompileError from each where the file cannot be looked at; `is_gone` alone tells that as well.
    `stamp` changes when the file does, `identity` keeps files apart that have equal stamps.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def is_gone(self) -> bool: ...

    def stamp(self) -> Stamp: ...

    def fetch(self, room: Path) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells that a file is as it was.

    `changed` is the time in ns of its last change where only time tells; None where the stamp is
    certain. `value` is empty where nothing tells.
    """

    value: tuple[Value, ...]
    changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a source, in code point order of their names; of a folder or a pattern where
    `tree`, even if it is only one."""

    places: tuple[Place, ...]
    tree: bool = False


def moved(problems: Iterable[Problem], where: KeyPath) -> Iterator[Problem]:
    """The same problems of a source whose keys stand elsewhere than under `data.source`."""
    usual, here = f"{dotted(SOURCE_KEYS)}.", f"{dotted(where)}."
    for found in problems:
        yield replace(
            found,
            where=(*where, *found.where[2:]) if found.where[:2] == SOURCE_KEYS else found.where,
            message=found.message.replace(usual, here),
            hint=found.hint.replace(usual, here),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """A kind of source.

    `spec` is the dataclass of the keys under `data.source`, of which `place` says where a source
    is. `files(spec, project)` are the files whose bytes are its content, CompileError where there
    are none; `snapshot` says whether they are copied into the store before they are read (else they
    belong to an installed distribution), `once` that they are asked for once, and stand until they
    are refreshed on purpose. `complaints(spec)` are the problems that can be seen without the data.
    `scan(files, spec, types, target)` finds the facts; `types` are storage types that the config
    asks for. `credentials_env(spec)` names the environment variable with the credentials.
    `read(files, spec, source, out)` writes the table as an Arrow file. Both get the source's one
    file, or a directory that holds its files and nothing else, and raise ProblemsError with
    sentences for people. `misfit(files, spec, name, sort)` finds the first cell of a column of
    texts that keeps it from being numeric, datetime or boolean; there is none where texts are texts
    by a type of their own.
    """

    name: str
    spec: type[Any]
    distributions: tuple[str, ...]
    snapshot: bool
    files: Callable[[Any, Path], Files]
    location: Callable[[Any], str]
    scan: Callable[[tuple[Path, ...], Any, Mapping[str, str], str], Facts]
    read: Callable[[tuple[Path, ...], Any, Source, Path], None]
    complaints: Callable[[Any], Iterable[Problem]] = lambda spec: ()
    misfit: Callable[[tuple[Path, ...], Any, str, str], Misfit | None] = lambda *_: None
    place: str = "path"
    once: bool = False
    credentials_env: Callable[[Any], str | None] = lambda spec: None
