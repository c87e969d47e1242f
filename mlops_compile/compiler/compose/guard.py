"""Guard: config files that are no configs are refused before Hydra reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mlops_compile.compiler.compose.marks import file_node
from mlops_compile.compiler.compose.search_path import config_files, shown_path
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem

MOST_BYTES = 1_000_000
MOST_NODES = 50_000


def guard(search_path: tuple[str, ...]) -> None:
    """CompileError for every file of a project's search path that is far too large, or whose
    aliases unfold to that: Hydra would read it for minutes, or until memory ends."""
    if found := [item for file in config_files(search_path) for item in _refused(file)]:
        raise CompileError(found)


def _refused(file: Path) -> Iterator[Problem]:
    size = file.stat().st_size
    if size > MOST_BYTES:
        message = f"{size / 1e6:.1f} MB is no config: a config file has at most 1 MB"
        hint = "data belongs into a data file that data.source names"
        yield _too_large(file, 0, message, hint)
        return
    data = file.read_bytes()
    if b"&" not in data or b"*" not in data:
        return
    try:
        node = file_node(file)
    except (yaml.YAMLError, UnicodeDecodeError):
        return  # Hydra's own reading tells of it
    count = _Count()
    nodes = count.of(node)
    if count.circle is not None:
        line = count.circle.start_mark.line + 1
        yield _too_large(file, line, "an anchor holds an alias of itself", "leave the alias out")
    elif nodes > MOST_NODES:
        message = f"its anchors and aliases unfold to more than {MOST_NODES} values"
        yield _too_large(file, 0, message, "write out what is meant, with fewer aliases")


def _too_large(file: Path, line: int, message: str, hint: str) -> Problem:
    origin = Origin(source=shown_path(str(file)), line=line or 1)
    return Problem(code="too-large", message=message, origin=origin, hint=hint)


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
