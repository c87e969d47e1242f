"""Offers: which keys and values may stand at a place of the config, by its JSON Schema.

The schema is read from a file beside this one (`nox -s schema` writes it): making it takes longer
than a person who presses Tab waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FILE = Path(__file__).with_name("config.schema.json")
_ALIAS = "another name of "


class Offers:
    """What may be written into one composed config, which may lack keys or be broken."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._schema: Json = json.loads(FILE.read_bytes())
        for name in ("defaults", "hydra"):  # the one stands in files only, the other is in configs
            del self._schema["properties"][name]
        self._definitions: Json = self._schema["definitions"]

    def keys(self, path: Sequence[str]) -> dict[str, bool]:
        """The keys of the map at a path: whether each holds keys in turn."""
        found: dict[str, bool] = {}
        for part in self._at(path):
            for name, inner in part.get("properties", {}).items():
                if "not" not in inner and not inner.get("description", "").startswith(_ALIAS):
                    nested = any(self._is_map(item) for item in self._parts(inner, None))
                    found[name] = found.get(name, False) or nested
        return found

    def values(self, path: Sequence[str], *, item: bool = False) -> tuple[str, ...]:
        """The values that a key may have, where they can be listed; with `item`, of its list."""
        found: list[str] = []
        for part in self._at(path):
            inner = part.get("items", {}) if item else part
            for kind in self._parts(inner, None):
                found += [str(name) for name in kind.get("enum", ())]
                if "const" in kind:
                    found.append(str(kind["const"]))
                if kind.get("type") == "boolean":
                    found += ["true", "false"]
        return tuple(dict.fromkeys(found))

    def _at(self, path: Sequence[str]) -> list[Json]:
        """The parts of the schema that hold for the value at a path."""
        value: Any = self._config
        parts = list(self._parts(self._schema, value))
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
            below = [item for part in parts for item in self._below(part, name)]
            parts = [item for schema in below for item in self._parts(schema, value)]
        return parts

    def _below(self, part: Json, name: str) -> Iterator[Json]:
        others = part.get("additionalProperties")
        if name in part.get("properties", {}):
            yield part["properties"][name]
        elif isinstance(others, dict):
            yield others

    def _parts(self, schema: Json, value: Any) -> Iterator[Json]:
        """A schema and all that it refers to; of conditions, what holds for the value."""
        yield schema
        if "$ref" in schema:
            yield from self._parts(self._definitions[schema["$ref"].rpartition("/")[2]], value)
        for inner in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
            yield from self._parts(inner, value)
        if "then" in schema and _holds(schema["if"], value):
            yield from self._parts(schema["then"], value)

    def _is_map(self, part: Json) -> bool:
        kind = part.get("type")
        return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _holds(condition: Json, value: Any) -> bool:
    """Whether a condition of our schemas (keys with one value each) holds for a value."""
    wanted = condition.get("properties")
    if wanted is None or not isinstance(value, Mapping):
        return False
    return all(value.get(name) == rule["const"] for name, rule in wanted.items())
