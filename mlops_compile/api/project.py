"""New projects around a data file."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_compile.api.schemas import schema_files
from mlops_compile.compiler.project import in_the_way, project_files
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.proposal import Proposal
from mlops_compile.steps.look import look
from mlops_compile.store.files import write_atomic

SCHEMAS = ".schema"


def init(
    directory: Path,
    data: Path,
    target: str,
    columns: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
) -> tuple[Proposal, tuple[str, ...]]:
    """Write a new project around a data file: what was assumed, and the files written. `columns`
    names those of a file without a header, `exclude` those that are left out.

    CompileError where the file cannot serve, or where a file of the project is there already.
    """
    proposal = look(data, target, columns, exclude)
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


def _project_name(data: Path) -> str:
    stem = data.name.split(".")[0]
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in stem).strip("_")
    return name.lower() or "data"
