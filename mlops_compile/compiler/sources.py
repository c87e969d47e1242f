"""Looks at sources for pinning: content digest, rows, columns; a cache spares the reading."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_compile.compiler.lower import SOURCE, TEST
from mlops_compile.compiler.spec import Data
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.source import ColumnFact, Pinned, Source, Table
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, pick
from mlops_compile.steps.columns import Column, storage_type
from mlops_compile.steps.joins import (
    below,
    join_problems,
    joined,
    keeps_rows,
    test_problems,
    where_of,
)
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import (
    SOURCE_KEYS,
    SourceKind,
    combined,
    file_digest,
    moved,
    where_is,
)

_VERSION = 2
# A file changed within this time before it was hashed may change again at the same mtime.
_TICK_NS = 2_000_000_000
_PATH = ("data", "source", "path")


class Cache(Protocol):
    """Remembers values by key; losing them costs time only."""

    def get(self, key: str) -> Value: ...

    def put(self, key: str, value: Value) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A source to pin: its keys and where they stand, the storage types that are asked of its
    columns, and the target, whose levels are looked for (or the empty text)."""

    name: str
    keys: Any
    where: KeyPath
    types: Mapping[str, str]
    target: str

    @property
    def kind(self) -> SourceKind:
        found: SourceKind = SOURCES[self.keys.kind]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What looking at sources needs of a project. `refresh`: trust no earlier look; the pins of
    `committed` stand where the data is not here."""

    cache: Cache
    project: Path
    committed: Lock | None = None
    refresh: bool = False


def pin_sources(data: Data, looking: Looking) -> Pinned:
    """The sources of a config, pinned by content; their locations are relative to the project.

    Where the data is not here (a reviewer, CI), the pin of the committed lock stands, if it is of
    the same source read in the same way. CompileError says what cannot be read, of all sources.
    """
    target = "" if data.task == "regression" else data.target
    types = _types(data.columns)
    main = _Wanted(name=SOURCE, keys=data.source, where=SOURCE_KEYS, types=types, target=target)
    wanted = [main]
    if data.test is not None:
        where = ("data", "test")
        wanted.append(_Wanted(name=TEST, keys=data.test, where=where, types=types, target=target))
    for name, join in data.join:
        wanted.append(
            _Wanted(
                name=name,
                keys=join.source,
                where=("data", "join", name, "source"),
                types={
                    column.removeprefix(join.prefix): stored
                    for column, stored in types.items()
                    if column.startswith(join.prefix)
                },
                target="",
            )
        )
    pinned: dict[str, tuple[Source, tuple[str, ...]]] = {}
    problems: list[Problem] = []
    for one in wanted:
        try:
            pinned[one.name] = _pin(one, data, looking)
        except CompileError as error:
            problems += moved(error, one.where).problems
    if problems:
        raise CompileError(problems)
    return together(
        data,
        {name: source for name, (source, _) in pinned.items()},
        tuple(sorted({level for _, levels in pinned.values() for level in levels})),
    )


def together(data: Data, sources: Mapping[str, Source], levels: tuple[str, ...]) -> Pinned:
    """What pinned sources make together. CompileError where they do not fit each other."""
    main = sources[SOURCE]
    others = tuple(sorted((name, source) for name, source in sources.items() if name != SOURCE))
    if not others:
        return Pinned(source=main, levels=levels)
    columns, rows = main.columns, main.rows
    problems: list[Problem] = []
    if TEST in sources:
        problems += test_problems(main, sources[TEST])
        columns = below(main.columns, sources[TEST].columns)
        rows += sources[TEST].rows
    problems += join_problems(columns, data.join, sources)
    if problems:
        raise CompileError(problems)
    columns = joined(columns, data.join, sources)
    table = Table(columns=columns, rows=rows if keeps_rows(data.join) else None)
    return Pinned(source=main, levels=levels, others=others, together=table)


def _types(columns: tuple[tuple[str, Column], ...]) -> dict[str, str]:
    found = {name: storage_type(column) for name, column in columns}
    return {name: stored for name, stored in found.items() if stored is not None}


def _pin(wanted: _Wanted, data: Data, looking: Looking) -> tuple[Source, tuple[str, ...]]:
    """A source, and the levels of the target in it."""
    kind, spec = wanted.kind, wanted.keys
    files = tuple(looking.project / file for file in kind.files(spec))
    if looking.committed is not None and any(map(_is_gone, files)):
        if (found := _from_lock(wanted, data, looking.committed)) is not None:
            return found, tuple(sorted(looking.committed.contract.classes))
    before = [_stat(file) for file in files]
    digests = [
        _digest(file, stat, looking.cache, looking.refresh)
        for file, stat in zip(files, before, strict=True)
    ]
    digest = combined(digests)
    facts = _facts(wanted, files, digest, looking.cache)
    if [_stat(file) for file in files] != before:
        message = f"{kind.location(spec)} changes while it is read"
        hint = "compile again once it is whole"
        raise CompileError([problem("source", message, SOURCE_KEYS, hint)])
    columns, levels, rows = facts["columns"], facts["levels"], facts["rows"]
    assert isinstance(columns, Map) and isinstance(levels, tuple) and isinstance(rows, int)
    source = Source(
        kind=kind.name,
        location=kind.location(spec),
        digest=digest,
        rows=rows,
        columns=tuple(ColumnFact.parse(name, str(text)) for name, text in columns.items()),
    )
    return source, tuple(map(str, levels))


def _facts(wanted: _Wanted, files: tuple[Path, ...], digest: Digest, cache: Cache) -> Map:
    asked = Map(
        {
            "version": _VERSION,
            "source": to_value(wanted.keys, places=False),
            "digest": digest.sha256,
            "types": Map(wanted.types),
            "target": wanted.target,
        }
    )
    key = "facts-" + hashlib.sha256(canonical(asked)).hexdigest()
    cached = cache.get(key)
    if isinstance(cached, Map) and set(cached) == {"digest", "rows", "columns", "levels"}:
        return cached
    found = wanted.kind.scan(files, wanted.keys, wanted.types, wanted.target)
    facts = Map(
        {
            "digest": digest.sha256,  # by which `store forget` finds it
            "rows": found.rows,
            "columns": Map({column.name: column.text for column in found.columns}),
            "levels": found.levels,
        }
    )
    cache.put(key, facts)
    return facts


def _is_gone(file: Path) -> bool:
    try:
        file.stat()
    except OSError as error:  # of others `_stat` says that the file cannot be read
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _stat(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        message = f"there is no file {file}"
        raise CompileError([problem("no-file", message, _PATH, where_is(file))]) from None
    except OSError as error:
        raise _unreadable(file, error) from None
    if not file.is_file():
        raise CompileError([problem("no-file", f"{file} is not a file", _PATH)])
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _unreadable(file: Path, error: OSError) -> CompileError:
    message = f"{file} cannot be read: {error.strerror or error}"
    return CompileError([problem("source", message, _PATH)])


def _digest(file: Path, stat: tuple[int, ...], cache: Cache, refresh: bool) -> Digest:
    """The file's digest; read only if its stat is new, or too young to be trusted."""
    key = "file-" + hashlib.sha256(os.fsencode(file.absolute())).hexdigest()
    cached = cache.get(key)
    if not refresh and isinstance(cached, Map) and cached.get("stat") == stat:
        seen, sha256 = cached.get("seen"), cached.get("sha256")
        if isinstance(seen, int) and isinstance(sha256, str) and stat[3] < seen - _TICK_NS:
            return Digest(sha256=sha256, size=stat[2])
    seen = time.time_ns()
    try:
        digest = file_digest(file)
    except OSError as error:
        raise _unreadable(file, error) from None
    cache.put(key, Map({"stat": stat, "seen": seen, "sha256": digest.sha256}))
    return digest


def _from_lock(wanted: _Wanted, data: Data, lock: Lock) -> Source | None:
    sources: dict[str, Any] = dict(lock.sources)
    source = sources.get(wanted.name)
    location = wanted.kind.location(wanted.keys)
    if source is None or source.kind != wanted.kind.name or source.location != location:
        return None
    acquire = next((step for step in lock.plan.steps if step.source == wanted.name), None)
    keys = to_value(wanted.keys, defaults=False, places=False)
    if acquire is None or pick(acquire.params, where_of(acquire.params)) != keys:
        return None
    if lock.contract.target != data.target and data.task != "regression":
        return None
    types = {column.name: column.type for column in source.columns}
    if any(types.get(name, stored) != stored for name, stored in wanted.types.items()):
        return None
    found: Source = source
    return found
