"""Acquire: the pinned bytes of a source become a table."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, pick
from mlops_compile.steps.kind import Work
from mlops_compile.steps.sources import SOURCES


def run(work: Work) -> None:
    """Writes `table`: every column of the source, as the types of the lock."""
    assert work.source is not None
    params = pick(work.params, ("data", "source"))
    assert isinstance(params, Map)
    kind = SOURCES[str(params["kind"])]
    paths: tuple[Path, ...] = ()
    if kind.snapshot:
        assert work.snapshot is not None
        paths = (work.snapshot,)
        params = Map({**params, "path": work.source.location})
    spec = from_value(kind.spec, params)
    kind.read(paths, spec, work.source, work.outputs["table"])
