"""What to write in place of what is wrong in a config: hints, and how values are shown in them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.schema import declared, named_type
from mlops_compile.ir.value import KeyPath, Map, Value, thaw
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.splits import SPLITS

VARIANTS: Mapping[str, Mapping[str, Any]] = {"sources": SOURCES, "splits": SPLITS, "folds": FOLDS}
# What Hydra's first version wrote for "the package of the file's own group".
_OLD_PACKAGE = "_group_"
# Keys that people bring from elsewhere, and how that is said here.
_AT_THE_TOP = "every random choice derives from `seed` at the top of the config"
_LEFT_OUT = "every column is a feature; leave one out with columns: {NAME: {role: ignore}}"
_USUAL: Mapping[KeyPath, str] = {
    ("data", "split", "train_size"): "training gets what test_size and validation_size leave",
    ("data", "split", "random_state"): _AT_THE_TOP,
    ("data", "split", "seed"): _AT_THE_TOP,
    ("data", "split", "stratify"): "write kind: stratified",
    ("data", "split", "shuffle"): "kind: random takes rows at random, kind: time by a column",
    ("data", "features"): _LEFT_OUT,
    ("data", "drop"): _LEFT_OUT,
    ("data", "ignore"): _LEFT_OUT,
    ("evaluate", "threshold"): "a threshold belongs to the model: model.threshold",
    ("model", "cross_validation"): "folds belong to the evaluation: evaluate.cross_validation",
}
_COLUMNS: KeyPath = ("data", "columns")
_FRACTION = re.compile(r"\s*(\d{1,9})\s*/\s*([1-9]\d{0,8})\s*\Z")
_NO_SPACE = re.compile(r"-(?=\w)")


def shown(value: Value) -> str:
    """A value in a message: short, and as it would be written in YAML."""
    match value:
        case Map():
            return "a map"
        case tuple():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 40 else value[:37] + "...")
        case _:
            return str(thaw(value))


def plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def other_choice(value: str, choices: tuple[str, ...]) -> str:
    """What to write in place of a text that is none of those that there are."""
    bare, hash_sign, _ = value.partition("#")
    if hash_sign and bare.strip() in choices:
        return "a comment needs a space in front of its #"
    return nearest(value, choices)


def number_in(text: str) -> str:
    """The number that a text may mean, as it is written; empty if it means none."""
    if match := _FRACTION.match(text):
        return f"{int(match[1]) / int(match[2]):g}"
    share = text.strip().endswith("%")
    try:
        number = float(text.strip().rstrip("%").replace(",", "."))
    except ValueError:
        return ""
    return f"{number / 100 if share else number:g}"


def rather(value: Value, options: tuple[Any, ...], where: KeyPath) -> str:
    """What to write in place of a value of the wrong type."""
    lists = any(getattr(option, "__origin__", None) is tuple for option in options)
    match value:
        case bool() if str in options:
            return "put it in quotes, as every bare yes, no, on, off, true and false"
        case int() | float() if str in options:
            return "put it in quotes"
        case float() if int in options and value == int(value):
            return f"write {int(value)}"
        case str() if value.lower() in ("none", "nil") and type(None) in options:
            return "YAML's word for nothing is null"
        case str() if bool in options and value.lower() in ("true", "false", "yes", "no"):
            return f"write {'true' if value.lower() in ('true', 'yes') else 'false'} without quotes"
        case str() if (int in options or float in options) and (number := number_in(value)):
            return f"write {number}" + (" without quotes" if number == value else "")
        case str() if lists and _NO_SPACE.match(value):
            return f"a dash needs a space behind it: - {value[1:].split()[0]}"
        case Map() if lists and all(name.isidentifier() for name in value):
            return f"write a list: [{', '.join(value)}]"
        case str() if lists and value:
            return f"write [{value}]"
        case str() if len(options) == 1 and dataclasses.is_dataclass(options[0]):
            return as_map(value, options[0], where)
        case tuple() if str in options and len(value) == 1 and isinstance(value[0], str):
            return f"write {value[0]}, without the brackets"
        case tuple() if where[:2] == _COLUMNS != where and value and isinstance(value[0], str):
            return f"name the column first: {value[0]}: {{role: ignore}}"
        case tuple() if any(named_type(option) is not None for option in options):
            names = [item for item in value if isinstance(item, str)]
            return f"give each a map: {names[0]}: {{...}}" if names else ""
        case tuple() if all(isinstance(item, Map) for item in value):
            return "its keys stand without dashes"
        case _:
            return ""


def as_map(value: Value, group_type: Any, where: KeyPath = ()) -> str:
    """How a text, or a list of maps, is written as the map that a group is."""
    if isinstance(value, str) and len(where) == 1 and re.fullmatch(r"\w[\w/-]*", value):
        entry = f"{where[0]}: {value}"
        listed = f"an option is chosen in the defaults list: - {entry}"
        return f"{listed} (in an experiment: - override /{entry})"
    if isinstance(value, tuple) and all(isinstance(item, Map) for item in value):
        return "its keys stand without dashes"
    for item in declared(group_type):
        if isinstance(value, str) and value in item.rules.choices:
            return f"write {{{item.name}: {value}}}"
    return ""


def instead(name: str, value: Value, where: KeyPath, group_type: Any) -> str:
    """What to write instead of a key that is not there."""
    keys = tuple(item.name for item in declared(group_type))
    if (not where and name == "experiment") or name.startswith("_glob"):
        return "the first line of the experiment's file must be: # @package _global_"
    if (usual := _USUAL.get((*where, name))) is not None:
        return usual
    if name == _OLD_PACKAGE:
        return "leave the line `# @package _group_` out: a file's keys stand under its group"
    head, dot, rest = name.partition(".")
    if dot and head in keys:
        parts = rest.split(".")
        nested = (
            ": {".join(parts)
            + f": {'...' if isinstance(value, Map | tuple) else shown(value)}"
            + "}" * (len(parts) - 1)
        )
        return f"a key in a file has no dots: {head}: {{{nested}}}"
    if name == "_target_":
        family = not where or where[0] == "model"
        instead_of_it = "set family, and its parameters under params" if family else "leave it out"
        return f"no class is made here: {instead_of_it}"
    if name == "defaults":
        return "a defaults list stands at the top of a file, not inside of a key"
    if not where and name == "default":
        return "did you mean 'defaults'?"
    head, colon, rest = name.partition(":")
    if colon and head in keys:
        return f"a key needs a space behind its colon: {head}: {rest}"
    if where and name == where[-1] and isinstance(value, Map):
        return f"the file's keys are put under {name} already: take the line `{name}:` out"
    if where[:2] == ("data", "columns") and len(where) == 3 and isinstance(value, Map):
        column = f"{where[2]}.{name}"
        inner = ", ".join(f"{key}: {thaw(item)}" for key, item in value.items())
        return (
            "a column with a dot in its name is written as a map:"
            f" 'data.columns={{\"{column}\": {{{inner}}}}}'"
        )
    if near := nearest(name, keys):
        return near
    if where == ("model",) and any(
        name in (item.name, *item.aliases) for family in FAMILIES for item in parameters(family)
    ):
        return f"did you mean model.params.{name}?"
    if not where:
        for item in declared(group_type):
            if _is_group(item.type) and _has(item.type, name):
                return f"did you mean {item.name}.{name}?"
    for table in VARIANTS.values():
        kinds = [kind for kind, entry in table.items() if _has(entry.spec, name)]
        if kinds and any(entry.spec is group_type for entry in table.values()):
            if len(kinds) > 2:
                return f"only the kinds {', '.join(kinds[:-1])} and {kinds[-1]} have it"
            return f"only the kind {' or '.join(kinds)} has it"
    return suggest(name, keys, "keys")


def _is_group(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) and isinstance(hint, type)


def _has(spec: Any, name: str) -> bool:
    return any(item.name == name for item in declared(spec))
