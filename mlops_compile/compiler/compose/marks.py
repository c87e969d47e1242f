"""Marks: where the keys and values of a config file, or of an override, stand in its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from mlops_compile.compiler.compose.overrides import bare_keys
from mlops_compile.compiler.compose.search_path import shown_path
from mlops_compile.ir.origin import Origin, Setting
from mlops_compile.ir.value import KeyPath

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Settings of one text in order. `replaced` are the keys whose earlier content is gone, not
    merged (lists and scalars); `deleted` those that an override takes away."""

    file: str
    settings: tuple[tuple[KeyPath, Setting], ...] = ()
    replaced: frozenset[KeyPath] = frozenset()
    deleted: tuple[KeyPath, ...] = ()

    def below(self, package: KeyPath, choice: str, chosen: Origin | None) -> Marks:
        """The same at a package, with what chose the file."""
        return replace(
            self,
            settings=tuple(
                ((*package, *path), replace(setting, choice=choice, chosen=chosen))
                for path, setting in self.settings
            ),
            replaced=frozenset((*package, *path) for path in self.replaced),
        )


def config_file(loader: ConfigLoaderImpl, config_path: str) -> Path | None:
    """The file that a config path (`data/iris`) is read from; None if it is not a file."""
    for source in loader.get_sources():
        if source.scheme() == "file":
            file = Path(source.path) / f"{config_path.removesuffix('.yaml')}.yaml"
            if file.is_file():
                return file
    return None


def file_node(file: Path) -> Any:
    """The YAML node of a config file; None of an empty one."""
    return yaml.compose(file.read_text("utf-8"), Loader=_LOADER)


def file_marks(loader: ConfigLoaderImpl, config_path: str) -> Marks | None:
    """The marks of a config's file, without Hydra's own keys; None if it is not a file."""
    file = config_file(loader, config_path)
    if file is None:
        return None
    lines = file.read_text("utf-8").splitlines()
    walk = _Walk(file=file, lines=lines)
    node = file_node(file)
    if isinstance(node, yaml.MappingNode):
        hydras = ("defaults", "hydra")
        pairs = [(k, v) for k, v in node.value if str(k.value) not in hydras]
        walk.pairs(pairs, ())
    return Marks(
        file=shown_path(str(file)),
        settings=tuple(walk.settings),
        replaced=frozenset(walk.replaced),
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Goes over a file's nodes and notes each setting."""

    file: Path
    lines: list[str]
    settings: list[tuple[KeyPath, Setting]] = field(default_factory=list)
    replaced: set[KeyPath] = field(default_factory=set)

    def pairs(self, pairs: list[tuple[Any, Any]], path: KeyPath) -> None:
        for key, value in pairs:
            if not isinstance(key, yaml.ScalarNode):
                continue
            place = (*path, str(key.value))
            self._note(place, self.mark(key), value)

    def _note(self, place: KeyPath, key: Origin, node: Any) -> None:
        value = self.mark(node)
        nested = isinstance(node, yaml.CollectionNode) and not node.flow_style
        written = "" if isinstance(node, yaml.CollectionNode) else str(node.value)
        setting = Setting(key=key, value=key if nested else value, written=written)
        self.settings.append((place, setting))
        if isinstance(node, yaml.MappingNode):
            self.pairs(node.value, place)
            return
        self.replaced.add(place)
        if isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self._note((*place, str(position)), self.mark(item), item)

    def mark(self, node: Any) -> Origin:
        return node_origin(node, self.file, self.lines)


def node_origin(node: Any, file: Path, lines: list[str]) -> Origin:
    """A node's place; of one that goes over several lines, the first."""
    start, end = node.start_mark, node.end_mark
    text = lines[start.line] if start.line < len(lines) else ""
    last = end.column if end.line == start.line else len(text)
    return Origin(
        source=shown_path(str(file)),
        line=start.line + 1,
        column=start.column + 1,
        width=max(last - start.column, 0),
        text=text,
    )


def override_marks(text: str) -> Marks:
    """The marks of an override; none where it does not parse."""
    try:
        parsed = OverridesParser.create().parse_override(bare_keys(text))
    except HydraException:
        return Marks(file="")
    path = tuple(parsed.key_or_group.split("."))
    if parsed.is_delete():
        return Marks(file="", deleted=(path,))
    equals = text.find("=")
    begin = text.rfind(".", 0, equals) + 1 if len(path) > 1 else len(text) - len(text.lstrip("+"))
    key = _part(text, begin, equals)
    value = parsed.value()
    settings = [
        (
            path,
            Setting(key=key, value=_part(text, equals + 1, len(text)), written=text[equals + 1 :]),
        )
    ]
    _mark_value(text, equals + 1, value, path, settings)
    merged = isinstance(value, dict)
    return Marks(
        file="",
        settings=tuple(settings),
        replaced=frozenset(place for place, _ in settings if not merged or place != path),
    )


def _part(text: str, begin: int, end: int) -> Origin:
    return Origin(source=f"override {text}", column=begin + 1, width=max(end - begin, 0), text=text)


def _mark_value(
    text: str, begin: int, value: object, path: KeyPath, settings: list[tuple[KeyPath, Setting]]
) -> None:
    """Notes what stands inside of a map or list, in the order of the text."""
    if isinstance(value, list):
        begin = text.find("[", begin) + 1
        for position, item in enumerate(value):
            begin += len(text[begin:]) - len(text[begin:].lstrip(" ,"))
            end = _inner_end(text, begin)
            part = _part(text, begin, end)
            place = (*path, str(position))
            settings.append((place, Setting(key=part, value=part, written=text[begin:end])))
            _mark_value(text, begin, item, place, settings)
            begin = end
    if isinstance(value, dict):
        for name, item in value.items():
            known = rf"[{{,\s\"']({re.escape(str(name))})[\"']?\s*:\s*"
            found = re.compile(known).search(text, begin)
            start, end = found.span(1) if found else (begin, begin)
            begin = found.end() if found else begin
            inner = _inner_end(text, begin)
            origin, held = _part(text, start, end), _part(text, begin, inner)
            place = (*path, str(name))
            settings.append((place, Setting(key=origin, value=held, written=text[begin:inner])))
            _mark_value(text, begin, item, place, settings)
            begin = inner


def _inner_end(text: str, begin: int) -> int:
    """Where a value inside of a map ends: at the comma or bracket that is not its own."""
    depth = 0
    quote = ""
    for position in range(begin, len(text)):
        char = text[position]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            if depth == 0:
                return position
            depth -= 1
        elif char == "," and depth == 0:
            return position
    return len(text)
