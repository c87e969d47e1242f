"""JSON Schemas of the config, for editors."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.compiler.compose.search_path import config_directory, options_of
from mlops_compile.compiler.json_schema import json_schema, schema_names
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.store.files import write_atomic


def schema_text(name: str, project: Path) -> str:
    """The JSON Schema of the whole config, or of the files of a group, in a project."""
    return json_schema(name, _options(project))


def schema_files(project: Path, own_data: tuple[str, ...] = ()) -> dict[str, str]:
    """Every schema, by the name of its file; `own_data` are data sets that are yet to be
    written."""
    options = _options(project)
    options["data"] = tuple(sorted({*options["data"], *own_data}))
    return {f"{name}.json": json_schema(name, options) for name in schema_names()}


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


def _options(project: Path) -> dict[str, tuple[str, ...]]:
    return options_of((str(config_directory(project)),), nested=True)
