"""How a group of config keys is declared: frozen dataclasses whose fields carry their rules."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar

from mlops_compile.ir.value import Map, Value, freeze, same

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The rules of one key: its meaning, range and choices.

    `more` holds further choices that are looked up only for what is none of the `choices`.
    A text that is `filled` cannot be empty. `place` marks a key that says where something is,
    never what it is: it enters no step.
    `variants` names the registry ("sources", "splits", ...) whose entry `kind` selects the keys.
    """

    doc: str
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()
    more: Collection[str] = ()
    filled: bool = False
    place: bool = False
    variants: str = ""


def key(doc: str, *, default: Any = MISSING, **rules: Any) -> Any:
    """A dataclass field that is a config key; without a default it must be given."""
    return field(default=default, metadata={"key": Key(doc=doc, **rules)})


def group(doc: str, of: type[Any]) -> Any:
    """A dataclass field that holds a group of keys, all of its defaults unless given."""
    return field(default_factory=of, metadata={"key": Key(doc=doc)})


@dataclass(frozen=True, slots=True)
class Declared:
    """One key of a group as the checker sees it."""

    name: str
    type: Any
    rules: Key
    required: bool
    default: Any


def declared(group_type: type[Any]) -> tuple[Declared, ...]:
    """The keys of a group, in order of declaration."""
    if group_type not in _DECLARED:
        hints = typing.get_type_hints(group_type)
        fields = dataclasses.fields(group_type)
        _DECLARED[group_type] = tuple(_declare(item, hints[item.name]) for item in fields)
    return _DECLARED[group_type]


_DECLARED: dict[type[Any], tuple[Declared, ...]] = {}  # types do not change once they are made


def _declare(item: dataclasses.Field[Any], hint: Any) -> Declared:
    rules = item.metadata.get("key", Key(doc=""))
    if item.default is not MISSING:
        return Declared(item.name, hint, rules, False, item.default)
    if item.default_factory is not MISSING:
        return Declared(item.name, hint, rules, False, item.default_factory())
    return Declared(item.name, hint, rules, True, None)


def named_type(hint: Any) -> Any | None:
    """The value type of a mapping from names, written `tuple[tuple[str, X], ...]`; else None."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        inner = typing.get_args(arguments[0])
        pair = typing.get_origin(arguments[0]) is tuple and len(inner) == 2 and inner[0] is str
        if pair and inner[1] is not Ellipsis:
            return inner[1]
    return None


def members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union type, or the type alone."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def to_value(spec: Any, *, defaults: bool = True, places: bool = True) -> Value:
    """The frozen value of a group: keys as in the config.

    Without `defaults`, keys that hold their declared default are left out, so that a later version
    may add a key without changing what is there; without `places`, so are keys that name places.
    """
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        return Map(tuple(_pairs(spec, defaults=defaults, places=places)))
    if isinstance(spec, tuple) and spec and all(_is_pair(item) for item in spec):
        return Map(
            tuple((name, to_value(item, defaults=defaults, places=places)) for name, item in spec)
        )
    if isinstance(spec, tuple):
        return tuple(to_value(item, defaults=defaults, places=places) for item in spec)
    return freeze(spec)


def key_value(
    group_type: type[Any], name: str, held: object, *, defaults: bool, places: bool
) -> tuple[Value] | None:
    """The frozen value of one key of a group, in a tuple of its own; None where `to_value` leaves
    it out."""
    item = next(item for item in declared(group_type) if item.name == name)
    return _key_value(item, held, defaults, places)


def _pairs(spec: Any, *, defaults: bool, places: bool) -> Iterator[tuple[str, Value]]:
    for item in declared(type(spec)):
        found = _key_value(item, getattr(spec, item.name), defaults, places)
        if found is not None:
            yield item.name, found[0]


def _key_value(item: Declared, held: Any, defaults: bool, places: bool) -> tuple[Value] | None:
    if item.rules.place and not places:
        return None
    is_names = named_type(item.type) is not None
    value = Map() if is_names and held == () else to_value(held, defaults=defaults, places=places)
    if not defaults and not item.required:
        usual = to_value(item.default, defaults=defaults, places=places)
        usual = Map() if is_names and item.default == () else usual
        if same(value, usual):
            return None
    return (value,)


def _is_pair(item: object) -> bool:
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], str)
        and (dataclasses.is_dataclass(item[1]))
    )


def from_value(group_type: type[T], value: Value) -> T:
    """A group from a value that was checked before (the slice of a lock): defaults filled in."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{group_type.__name__} is a map, not {value!r}")
    known = {item.name: item for item in declared(group_type)}
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{group_type.__name__} has no key {unknown[0]!r}")
    return group_type(**{name: _decode(known[name].type, item) for name, item in value.items()})


def _decode(hint: Any, value: Value) -> Any:
    for member in members(hint):
        if dataclasses.is_dataclass(member) and isinstance(member, type) and isinstance(value, Map):
            return from_value(member, value)
        inner = named_type(member)
        if inner is not None and isinstance(value, Map):
            return tuple((name, _decode(inner, item)) for name, item in value.items())
        if member is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
    return value
