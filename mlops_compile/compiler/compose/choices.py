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
from mlops_compile.compiler.compose.overrides import options_in, parsed
from mlops_compile.ir.origin import Origin


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
        paths = [path for default in defaults for path in (default.parent, default.config_path)]
        for path in dict.fromkeys(str(path) for path in paths if path):
            for entry in entries_of(loader, path):
                found[entry.config_path] = (entry.choice, entry.origin)
        choosing = set()
        for text in overrides:
            override = parsed(text)
            if override is None or isinstance(override.value(), dict):
                continue  # a map sets values
            group = override.key_or_group
            if not loader.repository.group_exists(group):
                continue
            choosing.add(text)
            for option in () if override.is_delete() else options_in(override, ()):
                found[f"{group}/{option}"] = (f"{group}={option}", Origin.of_override(text))
        return cls(found=found, overrides=frozenset(choosing))

    def get(self, config_path: str) -> tuple[str, Origin | None]:
        """The choice of a file and where it was made; nothing of the primary config."""
        return self.found.get(config_path, ("", None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a defaults list that chooses an option of a group (or, without a group, names
    another config). `overrides`: it replaces what another list chooses; no `option`: none yet.
    `words` stand in front of the group (`override`, `optional`)."""

    group: str
    option: str
    origin: Origin
    group_origin: Origin
    overrides: bool = False
    written: str = ""
    words: tuple[str, ...] = ()

    @property
    def config_path(self) -> str:
        return f"{self.group}/{self.option}" if self.group else self.option

    @property
    def choice(self) -> str:
        return f"{self.group}={self.option}" if self.group else self.option


def defaults_of(loader: ConfigLoaderImpl, config_path: str) -> tuple[Any, Any, Path] | None:
    """The nodes of `defaults` and of its list in a config's file, and the file; None without."""
    file = config_file(loader, config_path)
    if file is None:
        return None
    try:
        node = file_node(file)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return None
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "defaults":
            return key, value, file
    return None


def entries_of(loader: ConfigLoaderImpl, config_path: str) -> Iterator[Entry]:
    """The entries of a config's defaults list, without `_self_`."""
    found = defaults_of(loader, config_path)
    if found is None or not isinstance(found[1], yaml.SequenceNode):
        return
    _, listed, file = found
    lines = file.read_text("utf-8").splitlines()
    own_group = config_path.rpartition("/")[0]
    for item in listed.value:
        if isinstance(item, yaml.MappingNode):
            for key, value in item.value:
                yield from _chosen(key, value, own_group, file, lines)
        elif isinstance(item, yaml.ScalarNode) and item.value != "_self_":
            origin = node_origin(item, file, lines)
            name = str(item.value)
            bare = name.partition("@")[0]
            path = bare[1:] if bare.startswith("/") else f"{own_group}/{bare}".lstrip("/")
            yield Entry(group="", option=path, origin=origin, group_origin=origin, written=name)


def _chosen(key: Any, value: Any, own_group: str, file: Path, lines: list[str]) -> Iterator[Entry]:
    """The options that one entry (`override /model@here: x`) names."""
    *words, written = str(key.value).split()
    group = written.partition("@")[0]
    group = group[1:] if group.startswith("/") else f"{own_group}/{group}".lstrip("/")
    options = value.value if isinstance(value, yaml.SequenceNode) else (value,)
    for option in options:
        if isinstance(option, yaml.ScalarNode):
            chosen = "" if option.value in ("null", "~") else str(option.value)
            yield Entry(
                group=group,
                option=chosen.removesuffix(".yaml"),
                origin=node_origin(option, file, lines),
                group_origin=node_origin(key, file, lines),
                overrides="override" in words,
                written=written,
                words=tuple(words),
            )
