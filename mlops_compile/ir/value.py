"""Plain values of configs, plans and records: frozen trees and their one canonical byte form."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]


class Map(Mapping[str, "Value"]):
    """An immutable, hashable mapping of text to values, sorted by key (code points, NFC)."""

    __slots__ = ("_items", "_table")

    def __init__(self, items: Mapping[str, Value] | tuple[tuple[str, Value], ...] = ()) -> None:
        pairs = tuple(items.items()) if isinstance(items, Mapping) else tuple(items)
        self._items = tuple(sorted(pairs, key=lambda pair: pair[0]))
        self._table = dict(self._items)
        if len(self._table) != len(pairs):
            raise ValueError(f"a key is given twice: {sorted(key for key, _ in pairs)}")

    def __getitem__(self, key: str) -> Value:
        return self._table[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self._items == other._items

    def __repr__(self) -> str:
        return f"Map({self._table!r})"

    def __reduce__(self) -> tuple[type[Map], tuple[tuple[tuple[str, Value], ...]]]:
        return Map, (self._items,)


Value: TypeAlias = "None | bool | int | float | str | tuple[Value, ...] | Map"


def freeze(plain: object) -> Value:
    """The frozen form of a plain tree (dict, list, scalars).

    Text becomes NFC. Raises ValueError for NaN, infinities, keys that are not text, keys that are
    equal in NFC, and every type that JSON does not have.
    """
    match plain:
        case None | bool() | int():
            return plain
        case float():
            if not math.isfinite(plain):
                raise ValueError(f"{plain} has no canonical form; write it as text or leave it out")
            return plain
        case str():
            return _text(plain)
        case Mapping():
            pairs = tuple((_key(key), freeze(item)) for key, item in plain.items())
            return Map(pairs)
        case list() | tuple():
            return tuple(freeze(item) for item in plain)
        case _:
            raise ValueError(f"{type(plain).__name__} is not a plain value")


def thaw(value: Value) -> Any:
    """The plain tree (dict, list, scalars) of a frozen value, keys sorted."""
    match value:
        case Map():
            return {key: thaw(item) for key, item in value.items()}
        case tuple():
            return [thaw(item) for item in value]
        case _:
            return value


def canonical(value: Value) -> bytes:
    """The one byte form of a value: compact JSON, keys sorted by code point.

    JSON's own syntax tags the types, so the form is injective: `1`, `1.0`, `true` and `"1"` stay
    apart, and floats are written in their shortest round-trip form.
    """
    return json.dumps(
        thaw(freeze(value)), ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode("utf-8")


def pretty(value: Value) -> str:
    """Canonical JSON for people: one key a line, sorted, a newline at the end."""
    text = json.dumps(thaw(freeze(value)), ensure_ascii=False, allow_nan=False, indent=1)
    return text + "\n"


def parse(text: str | bytes) -> Value:
    """The value of a JSON text; ValueError for a repeated key, NaN or an infinity."""
    try:
        return freeze(json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("values lie too deep in each other") from None


def leaves(value: Value, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Value]]:
    """Every scalar, list and empty mapping of a value with its path, in key order."""
    if isinstance(value, Map) and len(value):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def pick(value: Value, path: KeyPath) -> Value:
    """The part of a tree at a path; KeyError (with the whole path) where there is none."""
    for depth, key in enumerate(path):
        if not isinstance(value, Map) or key not in value:
            raise KeyError(dotted(path[: depth + 1]))
        value = value[key]
    return value


def dotted(path: KeyPath) -> str:
    """A path as people write it; keys that hold a dot or a space are quoted."""
    return ".".join(key if _plain_key(key) else json.dumps(key, ensure_ascii=False) for key in path)


def same(left: Value, right: Value) -> bool:
    """Whether two values have the same canonical form (unlike `==`, 1 is not 1.0 nor True)."""
    return canonical(left) == canonical(right)


def _plain_key(key: str) -> bool:
    return bool(key) and all(char.isalnum() or char in "_-+/@" for char in key)


def _text(text: str) -> str:
    if text.isascii():
        return str(text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text with a lone surrogate has no UTF-8 form") from error
    return unicodedata.normalize("NFC", text)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} is not text; quote it")
    return _text(key)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the key {twice[0]!r} is given twice")
    return table


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} has no canonical form")
