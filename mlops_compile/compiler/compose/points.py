"""Points: the configs of a multirun. Those that differ in plain values only are composed once.

Hydra composes one point of each group in full; of the others the values are set, and what
interpolates is resolved again. Whatever is more than a plain value of one key (choices of groups,
maps, lists, `~`, `hydra.*`, interpolations) parts the groups. Full composition is the oracle in
tests/test_points.py.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mlops_compile.compiler.compose.config import to_config
from mlops_compile.compiler.compose.origins import located
from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.purity import texts_of
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, freeze

_PATH = re.compile(r"(?:[A-Za-z_][\w-]*\.)*[A-Za-z_][\w-]*\Z", re.ASCII)
# Keys that say how all others are read.
_WHOLE = ("hydra", "env", "format")
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A plain value of one key: what is written in front of it, its path, and the value."""

    written: str
    path: KeyPath
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A composed point. `composed` is Hydra's config of its group, which other points share: what
    of it is the point's own is in `settings`."""

    config: Config
    overrides: tuple[str, ...]
    composed: DictConfig
    settings: tuple[Setting, ...]


class Points:
    """Composes the points of one multirun, by Hydra's loader and the multirun's own config.

    `written` holds overrides as the user wrote them, by what Hydra is given.
    """

    def __init__(
        self, loader: ConfigLoader, master: DictConfig, written: Mapping[str, str]
    ) -> None:
        self._loader = loader
        self._master = master
        self._written = written
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._sections: dict[bytes, Value] = {}
        self._told: set[Problem] = set()

    def point(self, overrides: Sequence[str]) -> Point:
        """The point of these overrides. CompileError where it cannot be composed."""
        found = [setting_of(text) for text in overrides]
        key = tuple(
            setting.written if setting else text
            for setting, text in zip(found, overrides, strict=True)
        )
        settings = tuple(setting for setting in found if setting)
        group = self._groups.get(key)
        if group is not None and (values := group.values(settings)) is not None:
            composition = replace(group.composition, overrides=self._as_written(overrides))
            config = Config(values=values, composition=composition)
            return Point(
                config=config,
                overrides=tuple(overrides),
                composed=group.composed,
                settings=settings,
            )
        made = self.full(overrides)
        if group is None:
            self._groups[key] = _Group(made, settings, overrides)
        return made

    def full(self, overrides: Sequence[str]) -> Point:
        """The same, composed by Hydra from the start."""
        # Whatever it says of the point's own overrides, they are those of the point.
        composition = composition_of(self._master.hydra, self._as_written(overrides))
        with located(composition), refusals(composition):
            composed = self._loader.load_sweep_config(self._master, list(overrides))
            HydraConfig.instance().set_config(composed)
            composition = composition_of(composed.hydra, self._as_written(overrides))
            task = copy.deepcopy(composed)
            with open_dict(task):
                del task["hydra"]
            config = to_config(task, composition)
        shared = {name: self._shared(section) for name, section in config.values.items()}
        notes = tuple(note for note in config.notes if note not in self._told)
        self._told.update(notes)
        return Point(
            config=replace(config, values=Map(shared), notes=notes),
            overrides=tuple(overrides),
            composed=composed,
            settings=(),
        )

    def _shared(self, section: Value) -> Value:
        """Equal sections of different groups are one object, by which later passes know them."""
        return self._sections.setdefault(canonical(section), section)

    def _as_written(self, overrides: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._written.get(text, text) for text in overrides)


def composition_of(own: Any, overrides: tuple[str, ...]) -> Composition:
    """What a config was composed from, as its key `hydra` says."""
    places = tuple(
        f"{source.schema}://{source.path}" if source.schema != "file" else str(source.path)
        for source in own.runtime.config_sources
        if source.provider not in ("hydra", "schema")
    )
    name = str(own.job.config_name)
    return Composition(config_name=name, search_path=places, overrides=overrides)


@cache
def setting_of(text: str) -> Setting | None:
    """The plain value that an override sets; None where it is more than that."""
    override = parsed(text)
    if override is None or override.is_delete() or override.package is not None:
        return None
    key, value = override.key_or_group, override.value()
    if not _PATH.match(key) or key.split(".")[0] in _WHOLE:
        return None
    # A key without dots may be a group, and a text the name of its option.
    kinds: tuple[type, ...] = (bool, int, float)
    kinds += (str, type(None)) if "." in key else ()
    if not isinstance(value, kinds) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str) and ("${" in value or value == "???"):
        return None
    written = text[: text.index("=") + 1] if "=" in text else text
    return Setting(written=written, path=tuple(key.split(".")), value=value)


class _Group:
    """What the points of a group share: the first of them, composed in full."""

    def __init__(
        self, first: Point, settings: tuple[Setting, ...], overrides: Sequence[str]
    ) -> None:
        self.composed = first.composed
        self.composition = first.config.composition
        self._values = first.config.values
        self._sections: dict[tuple[str, bytes], Value] = {}
        raw: Any = OmegaConf.to_container(first.composed, resolve=False)
        del raw["hydra"]
        self._taken = tuple(path for path, _ in texts_of(raw, ()))
        paths = [setting.path for setting in settings]
        merged = [path for text in overrides if (path := _merged(text))]
        self._alike = (
            len(set(paths)) == len(paths)
            and not self.composition.renamed
            and not any(path[: len(other)] == other for path in paths for other in merged)
            and all(_same(_at(raw, setting.path), setting.value) for setting in settings)
        )

    def values(self, settings: tuple[Setting, ...]) -> Map | None:
        """The values of a point of this group; None where only composing it in full can tell."""
        if not self._alike:
            return None
        try:
            found = [(setting.path, freeze(setting.value)) for setting in settings]
            if self._taken:
                set_values(self.composed, settings)
                found += [(path, freeze(self._resolved(path))) for path in self._taken]
        except (OmegaConfBaseException, RecursionError, ValueError):
            return None
        below: dict[str, list[tuple[KeyPath, Value]]] = {}
        for path, value in found:
            below.setdefault(path[0], []).append((path[1:], value))
        return Map({**self._values, **{top: self._section(top, below[top]) for top in below}})

    def _section(self, top: str, found: list[tuple[KeyPath, Value]]) -> Value:
        """A top key with these values in it; equal ones are one object."""
        key = (top, canonical(tuple((path, value) for path, value in found)))
        if key not in self._sections:
            section = self._values[top]
            for path, value in found:
                section = _with(section, path, value)
            self._sections[key] = section
        return self._sections[key]

    def _resolved(self, path: KeyPath) -> Any:
        """The plain value of an interpolation."""
        node: Any = self.composed
        for part in path:
            node = node[int(part)] if OmegaConf.is_list(node) else node[part]
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def set_values(composed: DictConfig, settings: Sequence[Setting]) -> None:
    """Set the values of a point in its group's config."""
    for setting in settings:
        OmegaConf.update(composed, ".".join(setting.path), setting.value)


def _merged(text: str) -> KeyPath | None:
    """The path at which an override merges a map."""
    override = parsed(text)
    if override is None or not isinstance(override.value(), dict):
        return None
    return tuple(override.key_or_group.split("."))


def _at(raw: Any, path: KeyPath) -> Any:
    for part in path:
        if not isinstance(raw, dict) or part not in raw:
            return _ABSENT
        raw = raw[part]
    return raw


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


def _with(section: Value, path: KeyPath, value: Value) -> Value:
    """A section in which the value at a path, which is there, is another."""
    if not path:
        return value
    if isinstance(section, tuple):
        place = int(path[0])
        return (
            *section[:place],
            _with(section[place], path[1:], value),
            *section[place + 1 :],
        )
    assert isinstance(section, Map)
    return Map({**section, path[0]: _with(section[path[0]], path[1:], value)})
