"""Looks at sources for pinning: content digest, rows, columns; a cache spares the reading."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any, Protocol

from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.spec import Data
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.source import ColumnFact, Pinned, Source
from mlops_compile.ir.value import Map, Value, canonical
from mlops_compile.steps.columns import storage_type
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SourceKind, combined, file_digest, where_is

_VERSION = 2
# A file changed within this time before it was hashed may change again at the same mtime.
_TICK_NS = 2_000_000_000
_PATH = ("data", "source", "path")


class Cache(Protocol):
    """Remembers values by key; losing them costs time only."""

    def get(self, key: str) -> Value: ...

    def put(self, key: str, value: Value) -> None: ...


def pin_source(
    data: Data, cache: Cache, committed: Lock | None, project: Path, refresh: bool = False
) -> Pinned:
    """The source of a config, pinned by content; its location is relative to the project.

    Where the data is not here (a reviewer, CI), the pin of the committed lock stands, if it is of
    the same source read in the same way. CompileError says what cannot be read.
    """
    kind = SOURCES[data.source.kind]
    files = tuple(project / file for file in kind.files(data.source))
    if committed is not None and any(map(_is_gone, files)):
        if (pinned := _from_lock(data, kind, committed)) is not None:
            return pinned
    before = [_stat(file) for file in files]
    digests = [
        _digest(file, stat, cache, refresh) for file, stat in zip(files, before, strict=True)
    ]
    digest = combined(digests)
    facts = _facts(data, kind, files, digest, cache)
    if [_stat(file) for file in files] != before:
        message = f"{kind.location(data.source)} changes while it is read"
        hint = "compile again once it is whole"
        raise CompileError([problem("source", message, ("data", "source"), hint)])
    columns, levels, rows = facts["columns"], facts["levels"], facts["rows"]
    assert isinstance(columns, Map) and isinstance(levels, tuple) and isinstance(rows, int)
    return Pinned(
        source=Source(
            kind=kind.name,
            location=kind.location(data.source),
            digest=digest,
            rows=rows,
            columns=tuple(ColumnFact.parse(name, str(text)) for name, text in columns.items()),
        ),
        levels=tuple(str(level) for level in levels),
    )


def _facts(
    data: Data, kind: SourceKind, files: tuple[Path, ...], digest: Digest, cache: Cache
) -> Map:
    types = {
        name: stored
        for name, column in data.columns
        if (stored := storage_type(column)) is not None
    }
    asked = Map(
        {
            "version": _VERSION,
            "source": to_value(data.source, places=False),
            "digest": digest.sha256,
            "types": Map(types),
            "target": "" if data.task == "regression" else data.target,
        }
    )
    key = "facts-" + hashlib.sha256(canonical(asked)).hexdigest()
    cached = cache.get(key)
    if isinstance(cached, Map) and set(cached) == {"digest", "rows", "columns", "levels"}:
        return cached
    found = kind.scan(files, data.source, types, str(asked["target"]))
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


def _from_lock(data: Data, kind: SourceKind, lock: Lock) -> Pinned | None:
    sources: dict[str, Any] = dict(lock.sources)
    source = sources.get(SOURCE)
    if source is None or source.kind != kind.name or source.location != kind.location(data.source):
        return None
    acquire = next((step for step in lock.plan.steps if step.source == SOURCE), None)
    wanted = to_value(data.source, defaults=False, places=False)
    if acquire is None or acquire.params.get("data") != Map({"source": wanted}):
        return None
    if lock.contract.target != data.target and data.task != "regression":
        return None
    types = {column.name: column.type for column in source.columns}
    for name, column in data.columns:
        stored = storage_type(column)
        if stored is not None and types.get(name) != stored:
            return None
    return Pinned(source=source, levels=tuple(sorted(lock.contract.classes)))
