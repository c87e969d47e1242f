"""New projects around data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_compile.api.schemas import schema_files
from mlops_compile.compiler.look import system_room
from mlops_compile.compiler.project import in_the_way, project_files
from mlops_compile.compiler.source_options import options_of, source_of
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.proposal import Proposal
from mlops_compile.ir.value import Value
from mlops_compile.steps.arrive import Sample, arrive, ask
from mlops_compile.steps.look import look
from mlops_compile.steps.sources.patterns import fixed_part, is_pattern
from mlops_compile.steps.sources.places import is_uri, local
from mlops_compile.store.files import write_atomic

SCHEMAS = ".schema"
_SQLITE = "sqlite"
# Words that are no texts in a config or an override.
_NO_TEXTS = ("false", "inf", "nan", "no", "null", "off", "on", "true", "yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Data that a project is made around: a file, folder, pattern or URI, or a database and what is
    asked of it. `columns` names those of a file without a header, `exclude` those that are left
    out, `options` holds those of the source as texts."""

    data: str
    target: str
    query: str | None = None
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def init(directory: Path, given: Given) -> tuple[Proposal, tuple[str, ...]]:
    """Write a new project around data: what was assumed, and the files written.

    CompileError where the data cannot serve, or where a file of the project is there already.
    """
    spec, proposal = propose(given)
    name = _project_name(given.data)
    files = project_files(name, _keys(spec, directory), proposal)
    schemas = schema_files(directory, own_data=(name,))
    files |= {f"{SCHEMAS}/{file}": text for file, text in schemas.items()}
    if found := in_the_way(directory, files):
        raise CompileError(found)
    try:
        for path, text in files.items():
            write_atomic(directory / path, text.encode("utf-8"))
    except OSError as error:
        message = f"{directory} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return proposal, tuple(files)


def propose(given: Given) -> tuple[Any, Proposal]:
    """The keys of the source as they are given, and what a look at its rows suggests."""
    with system_room() as room:
        if given.query is not None:
            spec = _source("sql", given, {"uri": given.data, "query": given.query})
            path = ask(spec, room)
        else:
            kind, path = arrive(given.data, room)
            spec = _source(kind, given, {"path": given.data})
        sample = Sample(path=path, spec=spec, stated=frozenset(given.options))
        return spec, look(sample, given.target)


def _source(kind: str, given: Given, keys: Mapping[str, Value]) -> Any:
    """The keys of the source, checked."""
    known = {item.name for item in options_of(kind)}
    if given.columns and "columns" not in known:
        message = f"{given.data} names its columns itself: no --columns"
        raise CompileError([problem("columns", message)])
    if given.exclude and "exclude" not in known:
        message = f"--exclude is for Parquet and JSON lines, and {given.data} is neither"
        hint = "leave the column out of the query"
        if kind == "csv":
            hint = "of delimited text, a column is left out by its role: ignore, in the new project"
        raise CompileError([problem("columns", message, hint=hint)])
    lists = {"columns": given.columns, "exclude": given.exclude}
    return source_of(
        kind, keys, {**given.options, **{name: own for name, own in lists.items() if own}}
    )


def _keys(spec: Any, directory: Path) -> dict[str, Value]:
    """What says where the data is, as seen from the project; and of a query what is asked."""
    if spec.kind == "sql":
        keys = {"uri": _uri(spec.uri, directory), "query": spec.query}
        more = {"credentials_env": spec.credentials_env} if spec.credentials_env else {}
        return {**keys, **more}
    path = spec.path
    return {"path": path if is_uri(path) else _relative(path, directory)}


def _uri(uri: str, directory: Path) -> str:
    """The URI of a database; the file of SQLite's stands in it."""
    scheme, mark, rest = uri.partition(":///")
    file, *more = rest.partition("?")
    if not scheme.startswith(_SQLITE) or not mark or not file or Path(file).is_absolute():
        return uri
    return "".join([scheme, mark, _relative(file, directory), *more])


def _relative(path: str, directory: Path) -> str:
    return os.path.relpath(local(path, Path()).resolve(), directory.resolve())


def _project_name(data: str) -> str:
    """A name by what the data is called; of a pattern, by the folder above it. It is one that YAML
    and Hydra read as a text."""
    path = data.partition("?")[0] if "://" in data else data
    stem = PurePosixPath(fixed_part(path) if is_pattern(path) else path).name.split(".")[0]
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in stem).strip("_")
    name = name.lower() or "data"
    return name if name[0].isalpha() and name not in _NO_TEXTS else f"data_{name}"
