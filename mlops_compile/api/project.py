"""New projects around a data file."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_compile.compiler.compose.search_path import config_directory, options_of
from mlops_compile.compiler.json_schema import json_schema, schema_names
from mlops_compile.compiler.project import in_the_way, project_files
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.proposal import Proposal
from mlops_compile.steps.look import look
from mlops_compile.store.files import write_atomic

SCHEMAS = ".schema"


def init(
    directory: Path, data: Path, target: str, columns: tuple[str, ...] = ()
) -> tuple[Proposal, tuple[str, ...]]:
    """Write a new project around a data file: what was assumed, and the files written.

    CompileError where the file cannot serve, or where a file of the project is there already.
    """
    proposal = look(data, target, columns)
    name = _project_name(data)
    location = os.path.relpath(data.resolve(), directory.resolve())
    files = project_files(name, location, proposal)
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


def schema_text(name: str, project: Path) -> str:
    """The JSON Schema of the whole config, or of the files of a group, in a project."""
    return json_schema(name, _options(project))


def schema_files(project: Path, own_data: tuple[str, ...] = ()) -> dict[str, str]:
    """Every schema, by the name of its file; `own_data` are data sets that are yet to be
    written."""
    options = _options(project)
    options["data"] = tuple(sorted({*options["data"], *own_data}))
    return {f"{name}.json": json_schema(name, options) for name in schema_names()}


def _options(project: Path) -> dict[str, tuple[str, ...]]:
    return options_of((str(config_directory(project)),), nested=True)


def write_schemas(directory: Path, project: Path) -> tuple[str, ...]:
    """Write every schema into a directory, whose files it gives; CompileError if it cannot."""
    files = schema_files(project)
    try:
        for name, text in files.items():
            write_atomic(directory / name, text.encode("utf-8"))
    except OSError as error:
        message = f"{directory} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return tuple(files)


def _project_name(data: Path) -> str:
    stem = data.name.split(".")[0]
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in stem).strip("_")
    return name.lower() or "data"
