"""Looks at sources for pinning: content digest, rows, columns; a cache spares the reading."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mlops_compile.compiler.look import Cache, Look
from mlops_compile.compiler.lower import SOURCE
from mlops_compile.compiler.spec import Data
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.source import ColumnFact, Pinned, Source
from mlops_compile.ir.value import Map, canonical
from mlops_compile.steps.columns import storage_type
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import Files, SourceKind

_VERSION = 3


def pin_source(
    data: Data, cache: Cache, committed: Lock | None, project: Path, refresh: bool = False
) -> Pinned:
    """The source of a config, pinned by content; its location is relative to the project.

    Where the data is not here (a reviewer, CI), the pin of the committed lock stands, if it is of
    the same source read in the same way. CompileError says what cannot be read.
    """
    kind = SOURCES[data.source.kind]
    try:
        files = kind.files(data.source, project)
        is_gone = committed is not None and any(place.is_gone for place in files.places)
    except CompileError:
        is_gone = committed is not None
        if not is_gone:
            raise
        files = Files(places=())
    if is_gone and committed is not None:
        if (pinned := _from_lock(data, kind, committed)) is not None:
            return pinned
        files = kind.files(data.source, project)
    with Look(files, cache, refresh) as look:
        digest = look.digest
        facts = _facts(data, kind, look, cache)
        if look.has_changed(kind.files(data.source, project)):
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
            files=len(files.places) if files.tree else None,
        ),
        levels=tuple(str(level) for level in levels),
    )


def _facts(data: Data, kind: SourceKind, look: Look, cache: Cache) -> Map:
    types = {
        name: stored
        for name, column in data.columns
        if (stored := storage_type(column)) is not None
    }
    asked = Map(
        {
            "version": _VERSION,
            "source": to_value(data.source, places=False),
            "digest": look.digest.sha256,
            "types": Map(types),
            "target": "" if data.task == "regression" else data.target,
        }
    )
    key = "facts-" + hashlib.sha256(canonical(asked)).hexdigest()
    cached = cache.get(key)
    if isinstance(cached, Map) and set(cached) == {"digest", "rows", "columns", "levels"}:
        return cached
    found = kind.scan(look.paths(), data.source, types, str(asked["target"]))
    facts = Map(
        {
            "digest": look.digest.sha256,  # by which `store forget` finds it
            "rows": found.rows,
            "columns": Map({column.name: column.text for column in found.columns}),
            "levels": found.levels,
        }
    )
    cache.put(key, facts)
    return facts


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
