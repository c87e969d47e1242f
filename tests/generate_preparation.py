"""Writes the tables of docs/preparation.md from the declarations: `nox -s preparation`.

What stands between two marks is written anew; all else is written by hand.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_compile.ir.schema import declared, members
from mlops_compile.steps.derive import Derived
from mlops_compile.steps.preparations import PREPARATIONS

FILE = Path(__file__).resolve().parent.parent / "docs" / "preparation.md"
_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def generate(text: str) -> str:
    """The chapter with its tables as the declarations have them."""
    for name, lines in (("preparations", preparations()), ("derived", _table(Derived))):
        begin, end = f"<!-- begin {name}: nox -s preparation -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.S)
        assert pattern.search(text), name
        body = "\n".join(lines)
        text = pattern.sub(lambda _, new=f"{begin}\n{body}\n{end}": new, text)  # type: ignore[misc]
    return text


def preparations() -> Iterator[str]:
    """A heading, the meaning and the options of each preparation."""
    for name, preparation in PREPARATIONS.items():
        sorts = [sort for sort in preparation.accepts if sort != "code"]
        yield f"### {name}"
        yield ""
        yield f"Takes {', '.join(sorts)} columns."
        yield ""
        yield _prose(preparation.spec)
        yield ""
        if dataclasses.fields(preparation.spec):
            yield from _table(preparation.spec)
            yield ""


def _prose(spec: type[Any]) -> str:
    paragraphs = re.split(r"\n\s*\n", (spec.__doc__ or "").strip())
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _table(spec: type[Any]) -> Iterator[str]:
    yield "| option | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for item in declared(spec):
        rules = item.rules
        if rules.choices:
            kind = ", ".join(f"`{choice}`" for choice in rules.choices)
            kind = f"some of {kind}" if getattr(item.type, "__origin__", None) is tuple else kind
        else:
            kind = _type(item.type)
        default = "must be given" if item.required else _default(item.default)
        yield f"| `{item.name}` | {kind} | {default} | {rules.doc} |"


def _type(hint: Any) -> str:
    options = [option for option in members(hint) if option is not type(None)]
    if getattr(options[0], "__origin__", None) is tuple:
        return f"list of {' or '.join(_NAMES[m] + 's' for m in members(options[0].__args__[0]))}"
    return " or ".join(_NAMES[option] for option in options)


def _default(value: Any) -> str:
    match value:
        case None | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`[{', '.join(map(_plain, value))}]`"
        case _:
            return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text("utf-8")), "utf-8")
