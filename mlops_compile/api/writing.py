"""Writes what somebody asked for into the file that they named."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.store.files import write_named


def write_asked(text: str, file: Path) -> None:
    """Write a text; CompileError where the file cannot be written."""
    try:
        write_named(file, text.encode("utf-8"))
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
