"""Writes the tables of options in docs/data.md, from the declarations: `nox -s data` runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_compile.ir.schema import Declared, declared, to_value
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.joins import AsOf, Join
from mlops_compile.steps.sources import SOURCES

FILE = Path(__file__).resolve().parent.parent / "docs" / "data.md"
_JOINS = {"joins": Join, "as_of": AsOf}
_TABLE = re.compile(r"<!-- options of (\w+) -->\n.*?<!-- end -->", re.S)


def generate(text: str) -> str:
    """The document with its tables as the declarations have them now."""
    return _TABLE.sub(lambda found: _table(found[1]), text)


def _table(kind: str) -> str:
    lines = [f"<!-- options of {kind} -->", "| option | default | meaning |", "| --- | --- | --- |"]
    for item in _keys(kind):
        usual = "must be given" if item.required else f"`{_shown(to_value(item.default))}`"
        lines.append(f"| `{item.name}` | {usual} | {_plain(item.rules.doc)} |")
    return "\n".join([*lines, "<!-- end -->"])


def _keys(kind: str) -> Iterator[Declared]:
    """The options of a kind of source, its keys where it has no options; those of joins."""
    if kind in _JOINS:
        yield from (item for item in declared(_JOINS[kind]) if item.name != "source")
        return
    spec = {item.name: item for item in declared(SOURCES[kind].spec)}
    keys = declared(spec["options"].type) if "options" in spec else tuple(spec.values())
    yield from (item for item in keys if item.name != "kind")


def _shown(value: Value) -> str:
    shown: Any = value
    if isinstance(value, tuple):
        shown = "[" + ", ".join(map(_shown, value)) + "]"
    elif isinstance(value, Map):
        shown = "{}"
    elif isinstance(value, bool):
        shown = str(value).lower()
    elif value is None:
        shown = "null"
    elif isinstance(value, str):
        shown = f"'{value}'"
    return str(shown)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text("utf-8")), "utf-8")
