"""Reads and writes lock files."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.ir.lock import Lock, decode, encode
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.store.files import write_atomic


def read_lock(file: Path) -> Lock:
    """The lock of a file; CompileError if there is none or if it is broken."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        hint = "write it with `mlops-compile compile`"
        raise CompileError([problem("no-lock", f"there is no lock {file}", hint=hint)]) from None
    except IsADirectoryError:
        hint = f"name the lock in it: {file / 'plan.lock.json'}"
        raise CompileError([problem("lock", f"{file} is a directory", hint=hint)]) from None
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror or error}"
        raise CompileError([problem("lock", message)]) from None
    except UnicodeDecodeError as error:
        raise CompileError([problem("lock", f"{file} cannot be read: {error}")]) from None
    return decode(text, str(file))


def write_lock(lock: Lock, file: Path) -> bool:
    """Write a lock; whether the file's bytes changed."""
    data = encode(lock).encode("utf-8")
    if file.is_dir():
        raise CompileError([problem("output", f"{file} is a directory, and a lock is a file")])
    try:
        if file.is_file() and file.read_bytes() == data:
            return False
        write_atomic(file, data)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return True
