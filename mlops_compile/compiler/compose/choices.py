"""Choices: which entry of a defaults list, or which override, chose each group's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ResultDefault

from mlops_compile.compiler.compose.marks import config_file, file_node, node_origin
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.value import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """By config path (`data/iris`): the choice as people write it (`data=iris`), and its place.
    `overrides` are those that choose, and set no value."""

    found: Mapping[str, tuple[str, Origin]]
    overrides: frozenset[str]

    @classmethod
    def of(
        cls,
        defaults: Sequence[ResultDefault],
        loader: ConfigLoaderImpl,
        overrides: tuple[str, ...],
    ) -> Choices:
        """What chose each file of a defaults list: files in their order, then overrides."""
        found: dict[str, tuple[str, Origin]] = {}
        for path in dict.fromkeys(str(default.config_path) for default in defaults):
            for entry in _entries(loader, path):
                found[entry.config_path] = (entry.choice, entry.origin)
        choosing = set()
        for text in overrides:
            group, equals, option = text.lstrip("+~").partition("=")
            group = group.partition("@")[0]
            if not loader.list_groups(group) and not loader.get_group_options(group):
                continue
            choosing.add(text)
            path = f"{group}/{option}"
            if equals:
                origin = Origin(source=f"override {text}", column=1, width=len(text), text=text)
                found[path] = (f"{group}={option}", origin)
        return cls(found=found, overrides=frozenset(choosing))

    def get(self, config_path: str) -> tuple[str, Origin | None]:
        """The choice of a file and where it was made; nothing of the primary config."""
        return self.found.get(config_path, ("", None))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One entry of a defaults list that chooses an option of a group."""

    group: str
    option: str
    origin: Origin

    @property
    def config_path(self) -> str:
        return f"{self.group}/{self.option}"

    @property
    def choice(self) -> str:
        return f"{self.group}={self.option}"


def missing_choices(loader: ConfigLoaderImpl, config_name: str) -> Iterator[tuple[KeyPath, Origin]]:
    """Entries of defaults lists that name an option which no place of the search path has."""
    repository = loader.repository
    for source in loader.get_sources():
        if source.scheme() != "file":
            continue
        for file in sorted(Path(source.path).rglob("*.yaml")):
            path = str(file.relative_to(source.path).with_suffix(""))
            for entry in _entries(loader, path):
                if not repository.config_exists(entry.config_path):
                    yield tuple(entry.group.split("/")), entry.origin


def _entries(loader: ConfigLoaderImpl, config_path: str) -> Iterator[_Entry]:
    file = config_file(loader, config_path)
    if file is None:
        return
    try:
        node, text = file_node(file), file.read_text("utf-8")
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return
    if not isinstance(node, yaml.MappingNode):
        return
    lists = [value for key, value in node.value if key.value == "defaults"]
    own_group = config_path.rpartition("/")[0]
    for item in lists[0].value if lists and isinstance(lists[0], yaml.SequenceNode) else ():
        if isinstance(item, yaml.MappingNode):
            for key, value in item.value:
                yield from _chosen(key, value, own_group, file, text.splitlines())


def _chosen(key: Any, value: Any, own_group: str, file: Path, lines: list[str]) -> Iterator[_Entry]:
    """The options that one entry (`override /model@here: x`) names."""
    group = str(key.value).split()[-1].partition("@")[0]
    group = group[1:] if group.startswith("/") else f"{own_group}/{group}".lstrip("/")
    options = value.value if isinstance(value, yaml.SequenceNode) else (value,)
    for option in options:
        if isinstance(option, yaml.ScalarNode) and option.value not in ("null", "~", ""):
            origin = node_origin(option, file, lines)
            yield _Entry(group=group, option=str(option.value), origin=origin)
