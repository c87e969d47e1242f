"""JSON Schema (draft 7) of the config, for editors: made from the declarations that the checker
reads, so that both know the same keys.

Config files are parts that Hydra merges: nothing is required, and each value may be left open
(`???`) or hold an interpolation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_compile.compiler.instead import VARIANTS
from mlops_compile.compiler.spec import Model, Spec
from mlops_compile.ir.parameter import Parameter
from mlops_compile.ir.schema import Key, declared, members, named_type, to_value
from mlops_compile.ir.value import Map, freeze, pretty, thaw
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.gates import BOUNDS, CALIBRATION, FOLDED, GATE
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.preparations import PREPARATIONS

Json = dict[str, Any]

WHOLE = "config"
_DRAFT = "http://json-schema.org/draft-07/schema#"
# `???` (to be given by another file or an override), or an ${interpolation}.
_OPEN = {"type": "string", "pattern": r"^\?\?\?$|\$\{"}
_SCALARS: Mapping[Any, Json] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}
_PARAMETER: Mapping[str, Json] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
}


def schema_names() -> tuple[str, ...]:
    """What there is a schema of: the whole config, and the files of each group."""
    groups = (item.name for item in declared(Spec) if dataclasses.is_dataclass(item.type))
    return (WHOLE, *groups, "experiment")


def json_schema(name: str, options: Mapping[str, Sequence[str]]) -> str:
    """The schema's text. `options` are the options of each group, to be offered in `defaults`;
    KeyError for a name that is not among `schema_names()`."""
    if name not in schema_names():
        raise KeyError(name)
    groups = {item.name: item for item in declared(Spec)}
    whole = name in (WHOLE, "experiment")
    found = _group(Spec if whole else groups[name].type)
    doc = Spec.__doc__ if whole else groups[name].rules.doc
    found["properties"]["defaults"] = _defaults(options)
    if whole:
        found["properties"]["hydra"] = {"type": "object", "description": "Hydra's own settings"}
    found["type"] = ["object", "null"]  # a file may be empty
    head = {"$schema": _DRAFT, "title": f"mlops_compile: {name}", "description": doc}
    definitions = {"open": _OPEN, "chain": _chain()}
    return pretty(freeze({**head, **found, "definitions": definitions}))


def _group(group_type: type[Any]) -> Json:
    properties = {
        item.name: _key(item.type, item.rules, item.required, item.default)
        for item in declared(group_type)
    }
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    if group_type is Model:
        properties["params"]["additionalProperties"] = True
        found["allOf"] = [_params_of(family) for family in FAMILIES]
    if group_type is Evaluate:
        _add_metrics(properties)
    return found


def _key(hint: Any, rules: Key, required: bool, default: Any) -> Json:
    if rules.variants in VARIANTS:
        found = _variants(VARIANTS[rules.variants])
    elif rules.variants == "chain":
        found = {"$ref": "#/definitions/chain"}
    elif rules.variants == "chains":
        found = _open({"type": "object", "additionalProperties": {"$ref": "#/definitions/chain"}})
    else:
        found = _union([_type(member, rules) for member in members(hint)])
    if "$ref" in found:  # draft 7 ignores what stands beside a reference
        found = {"allOf": [found]}
    found["description"] = rules.doc
    if not required:
        found["default"] = thaw(to_value(default))
    return found


def _type(hint: Any, rules: Key) -> Json:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _group(hint)
    if (inner := named_type(hint)) is not None:
        return {"type": "object", "additionalProperties": _union([_type(inner, Key(doc=""))])}
    if getattr(hint, "__origin__", None) is tuple:
        items = _union([_type(member, rules) for member in members(hint.__args__[0])])
        return {"type": "array", "items": items}
    if hint is Map:
        return {"type": "object"}
    if hint is Any:
        return {}
    bounds = {
        "exclusiveMinimum" if rules.low_open else "minimum": rules.low,
        "exclusiveMaximum" if rules.high_open else "maximum": rules.high,
    }
    found: Json = dict(_SCALARS[hint])
    if hint in (int, float):
        found |= {name: bound for name, bound in bounds.items() if bound is not None}
    if hint is str and rules.choices:
        found["enum"] = list(rules.choices)
    if hint is str and rules.filled:
        found["pattern"] = "\\S"
    return found


def _union(kinds: list[Json]) -> Json:
    """One of several types, or what is left open; maps and lists may be empty (null) too."""
    if any(kind == {} or (kind.get("type") == "string" and "enum" not in kind) for kind in kinds):
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if len(kinds) == 1 and kinds[0].get("type") == "object":
        return _open(kinds[0])
    return {"anyOf": [*kinds, {"$ref": "#/definitions/open"}]}


def _open(found: Json) -> Json:
    """A map that may be left open or empty. Its own keys stay at the top, where editors look."""
    rest = {name: item for name, item in found.items() if name != "type"}
    texts = {"if": {"type": "string"}, "then": {"$ref": "#/definitions/open"}}
    return {"type": ["object", "null", "string"], **rest, **texts}


def _variants(table: Mapping[str, Any]) -> Json:
    """A map whose `kind` says which keys it has."""
    kinds = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": name}}},
            "then": _group(entry.spec),
        }
        for name, entry in table.items()
    ]
    kind = {"enum": list(table), "description": f"one of {', '.join(table)}"}
    anyway = {"anyOf": [kind, {"$ref": "#/definitions/open"}]}
    return _open({"type": "object", "properties": {"kind": anyway}, "allOf": kinds})


def _chain() -> Json:
    """A list of preparations, each a name or a map of one name to its options."""
    docs = {name: (entry.spec.__doc__ or "").split("\n")[0] for name, entry in PREPARATIONS.items()}
    names = {"enum": list(PREPARATIONS), "description": "a preparation with its usual options"}
    options = {
        name: {**_open(_group(entry.spec)), "description": docs[name]}
        for name, entry in PREPARATIONS.items()
    }
    entry = {
        "type": "object",
        "properties": options,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    items = {"type": "array", "items": {"anyOf": [names, entry]}}
    return {"anyOf": [items, {"const": "auto"}, {"type": "null"}, {"$ref": "#/definitions/open"}]}


def _params_of(family: str) -> Json:
    """The parameters of one family, by its library's names and their aliases."""
    known: Json = {}
    for item in parameters(family):
        known[item.name] = _parameter(item, item.doc)
        for alias in item.aliases:
            known[alias] = _parameter(item, f"another name of {item.name}: {item.doc}")
    params = _open({"type": "object", "properties": known, "additionalProperties": False})
    return {
        "if": {"required": ["family"], "properties": {"family": {"const": family}}},
        "then": {"properties": {"params": params}},
    }


def _parameter(item: Parameter, doc: str) -> Json:
    if item.refused:
        return {"not": {}, "description": f"cannot be set: it {item.refused}"}
    scalars = [_parameter_type(kind, item) for kind in item.types if kind != "list"]
    kinds = list(scalars)
    if "list" in item.types:
        kinds.append({"type": "array", "items": {"anyOf": scalars} if scalars else {}})
    kinds.append({"type": "null"})
    found: Json = {"anyOf": [*kinds, {"$ref": "#/definitions/open"}], "description": doc}
    if item.default is not None:
        found["default"] = item.default
    return found


def _parameter_type(kind: str, item: Parameter) -> Json:
    found: Json = dict(_PARAMETER[kind])
    if kind == "str" and item.choices:
        found["enum"] = list(item.choices)
    if kind in ("int", "float"):
        bounds = {
            "exclusiveMinimum" if item.low_open else "minimum": item.low,
            "exclusiveMaximum" if item.high_open else "maximum": item.high,
        }
        found |= {name: bound for name, bound in bounds.items() if bound is not None}
    return found


def _add_metrics(properties: Json) -> None:
    """The metrics' names, which depend on the task only in which of them fit."""
    names = {"enum": list(METRICS)}
    properties["primary"]["anyOf"] = [names, {"type": "null"}, {"$ref": "#/definitions/open"}]
    properties["metrics"]["anyOf"][0]["items"] = {"anyOf": [names, {"$ref": "#/definitions/open"}]}
    gate = {
        "type": ["string", "null"],
        "pattern": f"{GATE}|{_OPEN['pattern']}",
        "description": 'for example ">= 0.9", or ">= baseline + 0.1"',
    }
    ends = _open(_closed(dict.fromkeys(BOUNDS, gate)))
    of_folds = _open(_closed(dict.fromkeys(FOLDED, gate)))
    of_part = _open(_closed(dict.fromkeys(METRICS, gate)))
    levels = _open({"type": "object", "additionalProperties": of_part})
    column = _open(_closed({**dict.fromkeys(METRICS, gate), "levels": levels}))
    of_segments = _open({"type": "object", "additionalProperties": column})
    gates = {
        **{name: {"anyOf": [gate, ends]} for name in METRICS},
        **dict.fromkeys(("validation", "train"), of_part),
        "segments": {**of_segments, "description": "of every level of a column, or of single ones"},
        "calibration": _open(_closed(dict.fromkeys(CALIBRATION, gate))),
        "folds": _open(_closed({name: {"anyOf": [gate, of_folds]} for name in METRICS})),
    }
    properties["gates"]["properties"] = gates
    properties["gates"]["additionalProperties"] = False


def _closed(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _defaults(options: Mapping[str, Sequence[str]]) -> Json:
    """Hydra's defaults list: groups are offered with their options, any others are allowed."""
    any_option = {"type": ["string", "null", "array"]}
    known = {
        f"{prefix}{group}": {"anyOf": [{"enum": list(names)}, any_option]}
        for group, names in options.items()
        for prefix in ("", "override /")
    }
    entry = {
        "type": "object",
        "properties": known,
        "additionalProperties": any_option,
        "maxProperties": 1,
    }
    return {
        "description": "Hydra's defaults list: what this file is composed of, in order",
        "type": "array",
        "items": {"anyOf": [{"enum": ["_self_"]}, {"type": "string"}, entry]},
    }
