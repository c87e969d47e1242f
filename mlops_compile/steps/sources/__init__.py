"""Kinds of data sources; one module a kind."""

from __future__ import annotations

from mlops_compile.steps.registry import Pieces
from mlops_compile.steps.sources.kind import SourceKind

_HERE = "mlops_compile.steps.sources"
SOURCES: Pieces[SourceKind] = Pieces(
    "source kind",
    ("csv", f"{_HERE}.csv:KIND"),
    ("parquet", f"{_HERE}.parquet:KIND"),
    ("jsonl", f"{_HERE}.jsonl:KIND"),
    ("sql", f"{_HERE}.sql:KIND"),
    ("sklearn", f"{_HERE}.sklearn:KIND"),
)
