"""Codes of problems: each is used, each that is used is there, and docs/errors.md tells of all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlops_compile
from mlops_compile.ir.codes import CODES
from tests.catalogue import catalogue
from tests.generate_errors import FILE, generate

PACKAGE = Path(mlops_compile.__file__).parent
TREES = [ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py"))]


def _takers() -> dict[str, set[int]]:
    """Functions that take a code, and at which places (two may have one name); `Problem` takes it
    by name."""
    found: dict[str, set[int]] = {}
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef):
            names = [item.arg for item in node.args.args if item.arg != "self"]
            if "code" in names:
                found.setdefault(node.name, set()).add(names.index("code"))
    return found


def _written() -> Iterator[str]:
    """Every code that the package writes out, as an argument or to hand on."""
    takers = _takers()
    for node in (node for tree in TREES for node in ast.walk(tree)):
        held: list[ast.expr] = []
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in takers:
                held += [node.args[n] for n in takers[name] if n < len(node.args)]
            if name in takers or name == "Problem":
                held += [word.value for word in node.keywords if word.arg == "code"]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "code":
            held.append(node.value)
        for value in held:
            parts = (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_every_code_is_used_and_no_other() -> None:
    assert set(_written()) == set(CODES)


def test_the_catalogue_shows_every_code_of_configs() -> None:
    said = "".join(item.says for item in catalogue())
    wanted = {name for name, code in CODES.items() if code.number < 30}
    shown = {name for name in wanted if f"[{CODES[name]}]" in said}
    assert wanted - shown == {"older-config"}  # there is no older format yet


def test_every_code_has_an_example() -> None:
    sections = generate().split("\n### ")[1:]
    assert [text.split("\n")[0] for text in sections if "```text" not in text] == []


@pytest.mark.skipif(not FILE.is_file(), reason="the documents are not here")
def test_the_document_is_current() -> None:
    assert FILE.read_text("utf-8") == generate()
