"""Writes the tables of docs/splits.md, from what the kinds declare: `python -m
tests.generate_splits`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_compile.ir.schema import Declared, declared, to_value
from mlops_compile.ir.value import canonical
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.splits import SPLITS

FILE = Path(__file__).resolve().parent.parent / "docs" / "splits.md"
TABLES: Mapping[str, Mapping[str, Any]] = {"splits": SPLITS, "folds": FOLDS}


def generate(text: str) -> str:
    """The document with its tables anew, each between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, kinds in TABLES.items():
        head, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- /{name} -->")
        if not begin or not end:
            raise ValueError(f"the document has no place for the table of {name}")
        text = head + begin + _table(kinds) + end + tail
    return text


def _table(kinds: Mapping[str, Any]) -> str:
    lines = ["| kind | what | keys of its own |", "| --- | --- | --- |"]
    shared = _shared(kinds)
    for name, kind in kinds.items():
        what = " ".join((kind.spec.__doc__ or "").split())
        own = [f"`{item.name}`" for item in declared(kind.spec) if item.name not in shared]
        lines.append(f"| `{name}` | {what} | {', '.join(own)} |")
    lines += ["", "| key | default | meaning | kinds |", "| --- | --- | --- | --- |"]
    rows: dict[tuple[str, str, str], list[str]] = {}
    for name, kind in kinds.items():
        for item in declared(kind.spec):
            if item.name != "kind":
                rows.setdefault((item.name, _default(item), item.rules.doc), []).append(name)
    for (key, default, doc), names in rows.items():
        held = "all" if len(names) == len(kinds) else ", ".join(names)
        lines.append(f"| `{key}` | {default} | {doc} | {held} |")
    return "\n".join(lines) + "\n"


def _shared(kinds: Mapping[str, Any]) -> set[str]:
    """The keys that have a size, and those that all kinds have."""
    names = [{item.name for item in declared(kind.spec)} for kind in kinds.values()]
    return {"kind", *set.intersection(*names), "test_size"}


def _default(item: Declared) -> str:
    if item.required:
        return "must be given"
    text = canonical(to_value(item.default)).decode("utf-8")
    return f"`{text}`"


if __name__ == "__main__":
    FILE.write_text(generate(FILE.read_text("utf-8")), "utf-8")
