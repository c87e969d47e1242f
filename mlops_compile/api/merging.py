"""Merges two changes of a lock file, as git gives their texts."""

from __future__ import annotations

from mlops_compile.compiler.merging.locks import merge_locks
from mlops_compile.compiler.merging.sides import refusal
from mlops_compile.compiler.merging.sweeps import merge_sweeps
from mlops_compile.ir.lock import parse_document, read_value
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.sweep import decode_sweep, is_sweep


def of_sweep(text: str) -> bool:
    """Whether a text is the lock of a sweep; False where it cannot be read."""
    try:
        return is_sweep(parse_document(text, "the lock"))
    except CompileError:
        return False


def merge_texts(base: str, ours: str, theirs: str) -> str:
    """The lock, of one plan or of a sweep, that two changes of one come to. CompileError says why
    they are not merged: they cannot be read, or do not tell what compiling both gives."""
    if not base:
        raise CompileError([refusal("both sides add it")])
    texts = {"base": base, "ours": ours, "theirs": theirs}
    values = {name: parse_document(text, f"the lock of {name}") for name, text in texts.items()}
    sweeps = {is_sweep(value) for value in values.values()}
    if sweeps == {True}:
        return merge_sweeps(*(decode_sweep(value, name) for name, value in values.items())).text
    if sweeps == {False}:
        return merge_locks(*(read_value(value, name) for name, value in values.items())).text
    raise CompileError([refusal("one is the lock of one plan, and another that of a sweep")])
