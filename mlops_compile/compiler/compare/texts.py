"""Texts: changes of config and code files that change nothing of the plan, named as such."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import yaml

from mlops_compile.ir.change import Cause
from mlops_compile.ir.difference import changes
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted, freeze, leaves, same

_MOST = 4  # keys that a file's line names
_LONGEST = 40


def cosmetic_changes(
    old: Mapping[str, bytes],
    new: Mapping[str, bytes],
    *,
    told: Collection[KeyPath],
    functions: bool,
    differs: bool,
) -> Iterator[Cause]:
    """The files that differ and change nothing, by name.

    `told` are the paths of all causes, `functions` whether one of them is code, `differs` whether
    the plans differ at all: then a file that came or went may be why, and is told only where it was
    renamed and nothing that it says is among the causes.
    """
    gone = {name: text for name, text in old.items() if name not in new}
    came = {name: text for name, text in new.items() if name not in old}
    for name in sorted({*old, *new}):
        if name in old and name in new:
            if old[name] != new[name]:
                text = _same_file(name, old[name], new[name], told, functions)
                if text:
                    yield _cosmetic(name, text)
        elif name in gone:
            if (other := _renamed(name, gone[name], came)) is not None:
                del came[other]
                if not _may_be_why(name, gone[name], told, functions):
                    yield _cosmetic(name, f"renamed to {other}")
            elif not differs:
                yield _cosmetic(name, "removed; nothing of the plan came from it")
    if not differs:
        for name in came:
            yield _cosmetic(name, "new; nothing of the plan comes from it")


def _cosmetic(name: str, text: str) -> Cause:
    return Cause(path=(name,), category="cosmetic", text=text)


def _may_be_why(name: str, text: bytes, told: Collection[KeyPath], functions: bool) -> bool:
    """Whether causes may come of another name of a file."""
    if name.endswith(".py"):
        return functions
    value = _values(text)
    return isinstance(value, Map) and any(_is_told(path, told) for path, _ in leaves(value) if path)


def _renamed(name: str, text: bytes, came: Mapping[str, bytes]) -> str | None:
    """The new file that holds what one that went held, comments and layout aside."""
    exact = [other for other, own in came.items() if own == text]
    ending = name.rpartition(".")[2]
    alike = exact or [
        other
        for other, own in came.items()
        if other.endswith(f".{ending}") and _is_alike(name, text, own)
    ]
    return alike[0] if alike else None


def _is_alike(name: str, old: bytes, new: bytes) -> bool:
    left, right = _content(name, old), _content(name, new)
    return left is not None and left == right


def _content(name: str, text: bytes) -> bytes | None:
    """What a file says, in one form; None of one that cannot be read, or says nothing."""
    if name.endswith(".py"):
        shown = _code(text)
        return shown.encode() if shown else None
    value = _values(text)
    return canonical(value) if value is not None else None


def _same_file(
    name: str, old: bytes, new: bytes, told: Collection[KeyPath], functions: bool
) -> str:
    """Why a change of a file changes nothing; empty where it does, or may."""
    if name.endswith(".py"):
        left, right = _code(old), _code(new)
        if left is not None and left == right:
            return "comments, docstrings or layout"
        return "" if functions else "no function of the plan reaches what differs"
    left_value, right_value = _values(old), _values(new)
    if left_value is None or right_value is None:
        return ""
    if same(left_value, right_value):
        kept = _ordered(old) == _ordered(new)
        return "comments or layout" if kept else "the order of keys"
    if not isinstance(left_value, Map) or not isinstance(right_value, Map):
        return ""
    found = [*changes(left_value, right_value)]
    if any(_is_told(path, told) for path, *_ in found):
        return ""
    if all(path[0] == "defaults" for path, *_ in found):
        return "other files are chosen, and they come to the same"
    names = [_line(path, before, after) for path, before, after, _ in found[:_MOST]]
    more = f", and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{', '.join(names)}{more}: no step of the plan reads that"


def _is_told(path: KeyPath, told: Collection[KeyPath]) -> bool:
    """Whether a cause may come from a key of a file: a choice of files, or a key whose path ends so
    (a file does not say where its keys stand), or one around or below it."""
    if path[0] == "defaults":
        return bool(told)
    parts = [part for part in path if not part.startswith("override ")]
    for cause in told:
        for begin in range(len(cause)):
            own = cause[begin:]
            shared = min(len(own), len(parts))
            if list(own[:shared]) == parts[:shared]:
                return True
    return False


def _line(path: KeyPath, before: Value, after: Value) -> str:
    return f"{dotted(path)} {_short(before)} → {_short(after)}"


def _short(value: Value) -> str:
    text = "(none)" if value is None else canonical(value).decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _values(text: bytes) -> Value:
    """What a YAML file holds; None where it is none, or holds what no config can."""
    try:
        return freeze(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, UnicodeDecodeError, TypeError):
        return None


def _ordered(text: bytes) -> Any:
    """The same with the order of its keys."""

    def pairs(value: Any) -> Any:
        if isinstance(value, dict):
            return [(key, pairs(item)) for key, item in value.items()]
        return [pairs(item) for item in value] if isinstance(value, list) else repr(value)

    return pairs(yaml.safe_load(text))


def _code(text: bytes) -> str | None:
    """A module without comments, docstrings and layout; None where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                if isinstance(first.value.value, str):
                    node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return ast.unparse(tree)
