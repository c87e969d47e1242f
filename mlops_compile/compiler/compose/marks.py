"""Marks: where the keys and values of a config file, or of an override, stand in its text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.plugins.config_source import ConfigSource

from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.search_path import file_in, shown_path
from mlops_compile.ir.origin import Origin, Setting
from mlops_compile.ir.value import KeyPath

_MERGE = "tag:yaml.org,2002:merge"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_DEPTH = 100  # levels in a file; OmegaConf ends somewhere below 200
_OPENING = "[{-:?"  # every list and map begins with one of these


class TooDeep(yaml.YAMLError):
    """A text of YAML that is nested deeper than any config."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"more than {MOST_DEPTH} levels, each in the other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Settings of one text in order. `replaced` are the keys whose earlier content is gone, not
    merged (lists and scalars)."""

    file: str
    settings: tuple[tuple[KeyPath, Setting], ...] = ()
    replaced: frozenset[KeyPath] = frozenset()

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


def found_file(loader: ConfigLoaderImpl, config_path: str) -> Path | None:
    """What stands where the file of a config path (`data/iris`) belongs; maybe no file."""
    for source in loader.get_sources():
        place = _directory(source)
        if place is not None and os.path.lexists(file := file_in(place, config_path)):
            return file
    return None


def _directory(source: ConfigSource) -> Path | None:
    """The directory of a source: that of a package too, where it is one; not Hydra's own."""
    if source.scheme() == "file":
        return Path(source.path)
    if source.scheme() != "pkg" or source.provider == "hydra" or not source.available():
        return None
    package, _, below = source.path.partition("/")
    place = files(package)
    return place / below if isinstance(place, Path) else None


def config_file(loader: ConfigLoaderImpl, config_path: str) -> Path | None:
    """The file that a config path is read from; None if it is not a file."""
    file = found_file(loader, config_path)
    return file if file is not None and file.is_file() else None


def file_node(file: Path) -> Any:
    """The YAML node of a config file; None of an empty one. TooDeep where building it might end the
    process's stack."""
    text = file.read_text("utf-8")
    if sum(map(text.count, _OPENING)) > MOST_DEPTH:
        _check_depth(text)
    return yaml.compose(text, Loader=_LOADER)


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise TooDeep(event.start_mark.line + 1 if event.start_mark else 0)


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
        for key, value in _flat(pairs):
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


def _flat(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The keys of a map with those of the maps that `<<` merges into it, as YAML does."""
    own = [(key, value) for key, value in pairs if key.tag != _MERGE]
    for key, value in pairs:
        if key.tag == _MERGE:
            for item in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                names = {known.value for known, _ in own}
                inner = _flat(item.value) if isinstance(item, yaml.MappingNode) else []
                own = [pair for pair in inner if pair[0].value not in names] + own
    return own


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


def scalars(node: Any) -> Iterator[Any]:
    """Every key and value inside of a node; nothing of an empty file."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from scalars(key)
            yield from scalars(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from scalars(item)
    elif node is not None:
        yield node


def override_marks(text: str) -> Marks:
    """The marks of an override; none where it does not parse."""
    override = parsed(text)
    if override is None:
        return Marks(file="")
    path = tuple(override.key_or_group.split("."))
    if override.is_delete():
        taken = Origin.of_override(text)
        setting = Setting(key=taken, value=taken, written="", removed=True)
        return Marks(file="", settings=((path, setting),))
    equals = text.find("=")
    begin = text.rfind(".", 0, equals) + 1 if len(path) > 1 else len(text) - len(text.lstrip("+"))
    key = Origin.of_override(text, begin, equals)
    value = override.value()
    settings = [
        (
            path,
            Setting(
                key=key,
                value=Origin.of_override(text, equals + 1, len(text)),
                written=text[equals + 1 :],
            ),
        )
    ]
    _mark_value(text, equals + 1, value, path, settings)
    merged = set(_maps(value, path))
    return Marks(
        file="",
        settings=tuple(settings),
        replaced=frozenset(place for place, _ in settings if place not in merged),
    )


def _maps(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """The maps of an override, which are merged into what is there; not those in lists."""
    if isinstance(value, dict):
        yield path
        for name, item in value.items():
            yield from _maps(item, (*path, str(name)))


def _mark_value(
    text: str, begin: int, value: object, path: KeyPath, settings: list[tuple[KeyPath, Setting]]
) -> None:
    """Notes what stands inside of a map or list, in the order of the text."""
    if isinstance(value, list):
        begin = text.find("[", begin) + 1
        for position, item in enumerate(value):
            begin += len(text[begin:]) - len(text[begin:].lstrip(" ,"))
            end = _inner_end(text, begin)
            part = Origin.of_override(text, begin, end)
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
            origin, held = (
                Origin.of_override(text, start, end),
                Origin.of_override(text, begin, inner),
            )
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
