"""Guard: config files that are no configs are refused before Hydra reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mlops_compile.compiler.compose.marks import TooDeep, file_node, node_origin
from mlops_compile.compiler.compose.search_path import not_a_file, shown_path
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem

MOST_BYTES = 1_000_000
MOST_NODES = 50_000
_BRACES = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
_NO_SPACE = re.compile(r"([\w.-]+):(\S+)\Z")


def refused(file: Path) -> Iterator[Problem]:
    """Why what stands in the place of a config file is none: no file, far too large or unfolding
    to that (Hydra would read it for minutes, or until memory ends), or not a map."""
    name = shown_path(str(file))
    if what := not_a_file(file):
        yield _problem("no-option", f"this is {what}", "a config is a file", Origin(source=name))
        return
    try:
        yield from _content(file)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        yield _problem("no-option", message, "", Origin(source=name))


def _content(file: Path) -> Iterator[Problem]:
    size = file.stat().st_size
    if size > MOST_BYTES:
        message = f"{size / 1e6:.1f} MB is no config: a config file has at most 1 MB"
        hint = "data belongs into a data file that data.source names"
        yield _too_large(file, 0, message, hint)
        return
    try:
        node = file_node(file)
    except TooDeep as error:
        hint = "is a bracket missing? Data belongs into a data file that data.source names"
        yield _too_large(file, error.line, str(error), hint)
        return
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return  # Hydra's own reading tells of it
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        return
    if not isinstance(node, yaml.MappingNode):
        what, hint = "single value", "write KEY: VALUE"
        if isinstance(node, yaml.SequenceNode):
            what, hint = "list", "its keys stand without dashes"
        elif match := _NO_SPACE.match(node.value):
            hint = f"a key needs a space behind its colon: {match[1]}: {match[2]}"
        origin = node_origin(node, file, file.read_text("utf-8").splitlines())
        message = f"the file holds a {what}, and a config is a map"
        yield _problem("wrong-type", message, hint, origin)
        return
    lines = file.read_text("utf-8").splitlines()
    for key in _no_keys(node, set()):
        message = "YAML reads this key as null"
        hint = "put it in quotes"
        if isinstance(key, yaml.CollectionNode):
            message, hint = "a key is a text, not a list or map", "write KEY: VALUE"
            if match := _BRACES.search(lines[key.start_mark.line]):
                hint = f"if another key's value is meant: ${{{match[1]}}}"
        yield _problem("key", message, hint, node_origin(key, file, lines))
    count = _Count()
    nodes = count.of(node)
    if count.circle is not None:
        line = count.circle.start_mark.line + 1
        yield _too_large(file, line, "an anchor holds an alias of itself", "leave the alias out")
    elif nodes > MOST_NODES:
        message = f"its anchors and aliases unfold to more than {MOST_NODES} values"
        yield _too_large(file, 0, message, "write out what is meant, with fewer aliases")


def _no_keys(node: Any, seen: set[int]) -> Iterator[Any]:
    """Keys of maps that can be none."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    for item in node.value:
        if isinstance(node, yaml.MappingNode):
            if isinstance(item[0], yaml.CollectionNode) or item[0].tag.endswith(":null"):
                yield item[0]
            item = item[1]
        yield from _no_keys(item, seen)


def _too_large(file: Path, line: int, message: str, hint: str) -> Problem:
    origin = Origin(source=shown_path(str(file)), line=line or 1)
    return _problem("too-large", message, hint, origin)


def _problem(code: str, message: str, hint: str, origin: Origin) -> Problem:
    return Problem(code=code, message=message, hint=hint, origin=origin)


class _Count:
    """Counts the values that a node unfolds to, each shared node once and for all its uses."""

    def __init__(self) -> None:
        self.circle: Any = None
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: Any) -> int:
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) in self._open:
            self.circle = node
            return 1
        if id(node) not in self._known:
            self._open.add(id(node))
            flat = (
                part for item in node.value for part in (item if type(item) is tuple else (item,))
            )
            self._known[id(node)] = 1 + sum(self.of(part) for part in flat)
            self._open.discard(id(node))
        return self._known[id(node)]
