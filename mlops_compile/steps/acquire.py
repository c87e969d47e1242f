"""Acquire: the pinned bytes of a source become a table."""

from __future__ import annotations

from typing import Any

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, pick
from mlops_compile.steps.kind import Work
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.kind import SourceKind, combined, file_digest


def run(work: Work) -> None:
    """Writes `table`: every column of the source, as the types of the lock.

    It does not know which columns are sensitive, so what it says quotes none.
    """
    try:
        _read(work)
    except CompileError as error:
        raise CompileError([found.without_values() for found in error.problems]) from None


def _read(work: Work) -> None:
    assert work.source is not None
    kind, spec = source_spec(work.params, work.source)
    if kind.snapshot:
        assert work.snapshot is not None
        kind.read((work.snapshot,), spec, work.source, work.outputs["table"])
        return
    files = kind.files(spec)
    kind.read(files, spec, work.source, work.outputs["table"])
    if combined([file_digest(file) for file in files]) != work.source.digest:
        message = f"{work.source.location} is not what was locked"
        hint = "compile again to lock what is there now"
        raise CompileError([problem("source-changed", message, hint=hint)])


def source_spec(params: Map, source: Source) -> tuple[SourceKind, Any]:
    """The kind of an acquire step's source, and its keys under `data.source`."""
    keys = pick(params, ("data", "source"))
    assert isinstance(keys, Map)
    kind = SOURCES[str(keys["kind"])]
    places = {"path": source.location} if kind.snapshot else {}
    return kind, from_value(kind.spec, Map({**keys, **places}))
