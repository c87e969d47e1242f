"""Acquire: the pinned bytes of a source become a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, pick
from mlops_compile.steps.joins import where_of
from mlops_compile.steps.kind import Work
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SourceKind, combined, file_digest, moved


def run(work: Work) -> None:
    """Writes `table`: every column of the source, as the types of the lock.

    It does not know which columns are sensitive, so what it says quotes none.
    """
    assert work.source is not None
    try:
        _read(work, work.source)
    except CompileError as error:
        found = moved(error.problems, where_of(work.params))
        raise CompileError(item.without_values() for item in found) from None


def _read(work: Work, source: Source) -> None:
    kind, spec = source_spec(work.params, source)
    if kind.snapshot:
        assert work.snapshot is not None
        kind.read((work.snapshot,), spec, source, work.outputs["table"])
        return
    files = tuple(place.fetch(Path()) for place in kind.files(spec, Path()).places)
    kind.read(files, spec, source, work.outputs["table"])
    if combined([file_digest(file) for file in files]) != source.digest:
        message = f"{source.location} is not what was locked"
        hint = "compile again to lock what is there now"
        raise CompileError([problem("source-changed", message, hint=hint)])


def is_copied(params: Map) -> bool:
    """Whether the source of an acquire step is copied into the store before it is read."""
    keys = pick(params, where_of(params))
    kind = SOURCES.get(str(keys.get("kind"))) if isinstance(keys, Map) else None
    return kind is not None and kind.snapshot


def source_spec(params: Map, source: Source) -> tuple[SourceKind, Any]:
    """The kind of an acquire step's source, and its keys."""
    keys = pick(params, where_of(params))
    assert isinstance(keys, Map)
    kind = SOURCES[str(keys["kind"])]
    places = {kind.place: source.location} if kind.snapshot else {}
    if source.credentials_env is not None:
        places["credentials_env"] = source.credentials_env
    return kind, from_value(kind.spec, Map({**keys, **places}))
