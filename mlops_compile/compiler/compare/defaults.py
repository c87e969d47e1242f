"""Defaults: the value that a key of the config has where it is not stated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from mlops_compile.compiler.instead import VARIANTS
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.schema import Declared, declared, members, named_type, to_value
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.columns import Column
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters

# A value of its own; () where the key has one that is not declared: it follows from other things.
Default: TypeAlias = tuple[Value, ...]

_PARAMS: KeyPath = ("model", "params")


def default_of(path: KeyPath, stated: Map) -> Default | None:
    """The default of a key in a config that states other keys; None where it knows no such key:
    it is of another kind, family or entry."""
    if path[:2] == _PARAMS:
        return _parameter(path[2:], stated)
    return _in_group(Spec, path, stated)


def _parameter(path: KeyPath, stated: Map) -> Default | None:
    model = stated.get("model", Map())
    family = model.get("family") if isinstance(model, Map) else None
    if len(path) != 1 or family not in FAMILIES:
        return None
    found = next((p for p in parameters(str(family)) if path[0] in (p.name, *p.aliases)), None)
    return None if found is None else () if found.default is None else (found.default,)


def _in_group(group_type: Any, path: KeyPath, stated: Value) -> Default | None:
    """The default of a key below a group, of which `stated` is what the config says of it."""
    name, *rest = path
    item = next((item for item in declared(group_type) if item.name == name), None)
    if item is None or not isinstance(stated, Map):
        return None
    if not rest:
        return None if item.required else _own(item)
    if name not in stated:
        return _in_absent(item, tuple(rest))
    return _in_stated(item, tuple(rest), stated[name])


def _own(item: Declared) -> Default | None:
    if named_type(item.type) is not None or isinstance(item.default, Map):
        return None  # entries by name: without any
    value = to_value(item.default)
    return () if value is None else (value,)


def _in_absent(item: Declared, rest: KeyPath) -> Default | None:
    """The default of a key below one that is not stated itself. A step states what it reads of a
    group that must be given, which may be nothing."""
    group_type = item.type if item.required else type(item.default)
    if dataclasses.is_dataclass(group_type):
        return _in_group(group_type, rest, Map())
    if (entry := named_type(item.type)) is not None:
        return _in_entry(entry, rest, Map())
    return None


def _in_stated(item: Declared, rest: KeyPath, held: Value) -> Default | None:
    if not isinstance(held, Map):
        return None
    if item.rules.variants:
        kind = VARIANTS.get(item.rules.variants, {}).get(str(held.get("kind")))
        return None if kind is None else _in_group(kind.spec, rest, held)
    for member in members(item.type):
        if dataclasses.is_dataclass(member):
            return _in_group(member, rest, held)
        if (entry := named_type(member)) is not None:
            return _in_entry(entry, rest, held)
    return None


def _in_entry(entry: Any, path: KeyPath, held: Mapping[str, Value]) -> Default | None:
    """The default of a key of an entry by name. Columns are there though nothing is said of them;
    other entries are not."""
    name, *rest = path
    if not rest or not dataclasses.is_dataclass(entry):
        return None
    if name not in held and entry is not Column:
        return None
    return _in_group(entry, tuple(rest), held.get(name, Map()))
