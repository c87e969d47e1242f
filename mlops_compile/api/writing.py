"""Writes files, and says it where that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_compile.ir.problem import CompileError, StoreError, problem
from mlops_compile.store.files import write_named


def write_asked(text: str, file: Path) -> None:
    """Write a text; CompileError where the file cannot be written."""
    try:
        write_named(file, text.encode("utf-8"))
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None


@contextmanager
def written(directory: Path) -> Iterator[None]:
    """What is done here writes into a directory. StoreError where that cannot be."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        message = f"{directory} cannot be written: {why}"
        hint = "make room, or let this user write there; the same command goes on from here"
        raise StoreError([problem("disk", message, hint=hint)]) from None
