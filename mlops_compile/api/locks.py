"""Reads and writes lock files, of one plan or of a sweep."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.sweeping import merge_sweep
from mlops_compile.ir.lock import Lock, parse_document, read_value, to_value
from mlops_compile.ir.lock_format import FORMAT
from mlops_compile.ir.problem import CompileError, problem
from mlops_compile.ir.sweep import Sweep, decode_sweep, is_sweep, sweep_value
from mlops_compile.ir.value import Map
from mlops_compile.store.files import write_named


def read_lock(file: Path) -> Lock:
    """The lock of a file; CompileError if there is none, if it is broken, or if it is a sweep's."""
    value = read_document(file)
    if is_sweep(value):
        message = f"{file} is the lock of a sweep, and one plan is wanted here"
        hint = "each run directory of a sweep holds the lock of its point"
        raise CompileError([problem("lock", message, ("points",), hint)])
    return read_value(value, str(file))


def committed_lock(file: Path) -> Lock | None:
    """The lock in a file, or that of a sweep's first point, if there is a readable one: its pins
    stand where the data is not here."""
    try:
        value = read_document(file)
        if is_sweep(value):
            return decode_sweep(value, str(file)).points[0].lock
        return read_value(value, str(file))
    except CompileError:
        return None


def read_any(file: Path) -> Lock:
    """The lock of a file, or the one plan of a sweep's."""
    return _any(read_document(file), str(file))


def lock_of(text: str, name: str) -> Lock:
    """The lock of a text, or the one plan of a sweep's."""
    return _any(parse_document(text, name), name)


def _any(value: Map, name: str) -> Lock:
    if is_sweep(value):
        return merge_sweep(decode_sweep(value, name)).lock
    return read_value(value, name)


def read_document(file: Path) -> Map:
    """What a lock file holds, of a format that is known."""
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
    return parse_document(text, str(file))


def in_newest_format(value: Map, name: str) -> Map:
    """What a lock file holds, as this version writes it. CompileError for what is no lock."""
    if value["format"] == FORMAT:
        return value
    if is_sweep(value):
        return sweep_value(decode_sweep(value, name))
    return to_value(read_value(value, name))


def write_lock(lock: Lock | Sweep, file: Path) -> bool:
    """Write a lock; whether the file's bytes changed."""
    data = lock.text.encode("utf-8")
    if file.is_dir():
        raise CompileError([problem("output", f"{file} is a directory, and a lock is a file")])
    try:
        if file.is_file() and file.read_bytes() == data:
            return False
        write_named(file, data)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise CompileError([problem("output", message)]) from None
    return True
