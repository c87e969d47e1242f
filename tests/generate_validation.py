"""Writes the tables of keys in docs/validation.md: `nox -s validation` runs it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from mlops_compile.ir.schema import Declared, declared, members
from mlops_compile.steps.columns import Column, Rows

FILE = Path(__file__).resolve().parent.parent / "docs" / "validation.md"
_TABLES: dict[str, type[Any]] = {"Column": Column, "Rows": Rows}
_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text"}
_BLOCK = re.compile(r"(<!-- table of (\w+): [^\n]*-->\n).*?(<!-- end -->)", re.S)


def generate(text: str) -> str:
    """The document with its tables made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{_table(_TABLES[found[2]])}\n{found[3]}", text)


def _table(group: type[Any]) -> str:
    assert dataclasses.is_dataclass(group)
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for item in declared(group):
        lines.append(f"| `{item.name}` | {_type(item)} | {_default(item)} | {item.rules.doc} |")
    return "\n".join(lines) + "\n"


def _type(item: Declared) -> str:
    if item.rules.choices:
        return ", ".join(f"`{choice}`" for choice in item.rules.choices)
    return " or ".join(_named(member) for member in members(item.type) if member is not type(None))


def _named(hint: Any) -> str:
    if hint in _NAMES:
        return _NAMES[hint]
    inner = hint.__args__[0]
    return "list of lists of texts" if getattr(inner, "__origin__", None) is tuple else "list"


def _default(item: Declared) -> str:
    if item.default is None or item.default in ("", ()):
        return "-"
    return f"`{str(item.default).lower()}`"


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text("utf-8")), "utf-8")
