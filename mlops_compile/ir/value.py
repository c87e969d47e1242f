"""Plain values of configs, plans and records: frozen trees and their one canonical byte form."""

from __future__ import annotations

import contextlib
import json
import math
import unicodedata
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from json.encoder import encode_basestring
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

KeyPath: TypeAlias = tuple[str, ...]
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PLAIN = (bool, int, type(None))  # equal, they are written alike, unlike floats and texts
_first = itemgetter(0)


class Map(Mapping[str, "Value"]):
    """An immutable, hashable mapping of text to values, sorted by key (code points, NFC)."""

    __slots__ = ("_items", "_table")

    def __init__(self, items: Mapping[str, Value] | tuple[tuple[str, Value], ...] = ()) -> None:
        if type(items) is tuple:  # asking what is a Mapping takes longer than all the rest
            pairs = items
        else:
            pairs = tuple(items.items()) if isinstance(items, Mapping) else tuple(items)
        self._items = tuple(sorted(pairs, key=_first))
        self._table = dict(self._items)
        if len(self._table) != len(pairs):
            raise _twice(pairs)

    def __getitem__(self, key: str) -> Value:
        return self._table[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    # Those of Mapping find each value by its key again.

    def keys(self) -> KeysView[str]:
        return self._table.keys()

    def items(self) -> ItemsView[str, Value]:
        return self._table.items()

    def values(self) -> ValuesView[Value]:
        return self._table.values()

    if not TYPE_CHECKING:  # typed as that of Mapping

        def get(self, key, default=None):
            return self._table.get(key, default)

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
        case str():
            return _text(plain)
        case None | bool() | int():
            return plain
        case float():
            return _number(plain)
        case Mapping():
            return Map(tuple([(_key(key), freeze(item)) for key, item in plain.items()]))
        case list() | tuple():
            return tuple([freeze(item) for item in plain])
        case _:
            raise _no_value(plain)


def thaw(value: object) -> Any:
    """The plain tree (dict, list, scalars) of a value, keys sorted; refuses what `freeze` does."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)  # type: ignore[attr-defined, arg-type]
    if kind is Map and (table := _ascii_table(value)) is not None:  # type: ignore[arg-type]
        return table
    match value:
        case str():
            return _text(value)
        case None | bool() | int():
            return value
        case float():
            return _number(value)
        case Mapping():
            pairs = sorted([(_key(key), item) for key, item in value.items()], key=_first)
            table = {key: thaw(item) for key, item in pairs}
            if len(table) != len(pairs):
                raise _twice(pairs)
            return table
        case list() | tuple():
            return [thaw(item) for item in value]
        case _:
            raise _no_value(value)


def _ascii_table(value: Map) -> dict[str, Any] | None:
    """The plain table of a map whose keys are ASCII, which are in order; None of any other."""
    table = {}
    for key, item in value._items:
        if type(key) is not str or not key.isascii():
            return None
        table[key] = thaw(item)
    return table


def canonical(value: Value) -> bytes:
    """The one byte form of a value: compact JSON, keys sorted by code point.

    JSON's own syntax tags the types, so the form is injective: `1`, `1.0`, `true` and `"1"` stay
    apart, and floats are written in their shortest round-trip form.
    """
    if type(value) is Map or type(value) is tuple:
        with contextlib.suppress(TypeError, ValueError):  # what thawing may tell more of
            if (text := _AT_ONCE.encode(value)).isascii():
                return text.encode("ascii")
    return _COMPACT.encode(thaw(value)).encode("utf-8")


def _table_of(value: object) -> dict[str, Value]:
    """The table of a map, for JSON's own encoder; TypeError for what only `thaw` knows."""
    if type(value) is Map and _TEXTS.issuperset(map(type, value._table)):
        return value._table
    raise TypeError


_TEXTS = frozenset({str})
# Of ASCII alone: no other text is as it will be written.
_AT_ONCE = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    sort_keys=True,
    separators=(",", ":"),
    default=_table_of,
)


def pretty(value: Value) -> str:
    """Canonical JSON for people: one key a line, sorted, a newline at the end."""
    return _indented(thaw(value), "\n") + "\n"


def _indented(plain: Any, newline: str) -> str:
    """JSON with one space a level, as `json.dumps(indent=1)` gives; that has no fast encoder."""
    kind = type(plain)
    if kind is str:
        return encode_basestring(plain)
    if kind is dict and plain:
        inner = f"{newline} "
        items = [f"{encode_basestring(k)}: {_indented(v, inner)}" for k, v in plain.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{newline}}}"
    if kind is list and plain:
        inner = f"{newline} "
        return f"[{inner}{f',{inner}'.join([_indented(v, inner) for v in plain])}{newline}]"
    return _COMPACT.encode(plain)


def parse(text: str | bytes) -> Value:
    """The value of a JSON text; ValueError for a repeated key, NaN or an infinity."""
    try:
        return freeze(loaded(text))
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


def found_at(value: Value, path: KeyPath) -> Value:
    """The part of a tree at a path; None where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Map) else None
    return value


def dotted(path: KeyPath) -> str:
    """A path as people write it; keys that hold a dot or a space are quoted."""
    return ".".join(key if _plain_key(key) else json.dumps(key, ensure_ascii=False) for key in path)


def same(left: Value, right: Value) -> bool:
    """Whether two values have the same canonical form (unlike `==`, 1 is not 1.0 nor True)."""
    if type(left) in _PLAIN and type(right) in _PLAIN:
        return type(left) is type(right) and left == right
    return canonical(left) == canonical(right)


def _plain_key(key: str) -> bool:
    return bool(key) and all(char.isalnum() or char in "_-+/@" for char in key)


def _no_value(found: object) -> ValueError:
    return ValueError(f"{type(found).__name__} is not a plain value")


def _twice(pairs: Sequence[tuple[str, object]]) -> ValueError:
    return ValueError(f"a key is given twice: {sorted(key for key, _ in pairs)}")


def _number(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{number} has no canonical form; write it as text or leave it out")
    return number


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


def loaded(text: str | bytes) -> Any:
    """The plain tree of a JSON text; ValueError for a repeated key, NaN or an infinity."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"the key {twice[0]!r} is given twice")
    return table


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} has no canonical form")
