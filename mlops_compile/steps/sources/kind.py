"""What a source kind declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_compile.ir.source import ColumnFact, Source


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """A kind of source.

    `spec` is the dataclass of the keys under `data.source`. `files(spec)` are the files whose
    bytes are its content; `snapshot` says whether they are copied into the store before they are
    read (else they belong to an installed distribution). `scan(files, spec, types, target)` finds
    the facts; `types` are storage types that the config asks for. `read(files, spec, source, out)`
    writes the table as an Arrow file. Both raise ProblemsError with sentences for people.
    """

    name: str
    spec: type[Any]
    distributions: tuple[str, ...]
    snapshot: bool
    files: Callable[[Any], tuple[Path, ...]]
    location: Callable[[Any], str]
    scan: Callable[[tuple[Path, ...], Any, Mapping[str, str], str], Facts]
    read: Callable[[tuple[Path, ...], Any, Source, Path], None]
