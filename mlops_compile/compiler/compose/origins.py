"""Origins: the file and line, or the override, that set each key; made only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode

from mlops_compile.compiler.compose.overrides import bare_keys, given_overrides
from mlops_compile.compiler.compose.search_path import loader_of, shown_path
from mlops_compile.ir.config import Composition
from mlops_compile.ir.problem import CompileError, Origin, Problem, with_origins
from mlops_compile.ir.value import KeyPath


@contextmanager
def located(composition: Composition) -> Iterator[None]:
    """Problems raised inside get the file and line, or the override, that set their key."""
    try:
        yield
    except CompileError as error:
        raise CompileError(places_of(error.problems, composition)) from error


def places_of(problems: tuple[Problem, ...], composition: Composition) -> tuple[Problem, ...]:
    """Problems with the file and line, or the override, that set their key."""
    return with_origins(problems, origins(composition))


def origins(composition: Composition) -> dict[KeyPath, Origin]:
    """Where each key of a composed config was set last; keys of maps as well as leaves.

    Empty where the files cannot be read again: an origin is a help, never a condition.
    """
    found: dict[KeyPath, Origin] = {}
    try:
        loader = loader_of(composition.search_path)
        overrides = [given for given, _ in given_overrides(composition)]
        defaults = loader.compute_defaults_list(composition.config_name, overrides, RunMode.RUN)
        for default in defaults.defaults:
            path = default.config_path
            if path is None or path.startswith("hydra/"):
                continue
            loaded = loader.repository.load_config(path)
            if loaded is None or loaded.provider == "structured":
                continue
            package = tuple(part for part in (default.package or "").split(".") if part)
            if package == ("_global_",):
                package = ()
            _mark_file(_file(loader, path), package, found)
    except (HydraException, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        pass  # what `refusals` tells of
    for text in composition.overrides:
        for key in _override_keys(bare_keys(text)):
            found[key] = Origin(source=f"override {text}")
    return found


def _file(loader: ConfigLoaderImpl, config_path: str) -> Path:
    for source in loader.get_sources():
        if source.scheme() == "file":
            file = Path(source.path) / f"{config_path.removesuffix('.yaml')}.yaml"
            if file.is_file():
                return file
    return Path(config_path)


def _mark_file(file: Path, package: KeyPath, found: dict[KeyPath, Origin]) -> None:
    if not file.is_file():
        return
    node = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
    _mark(node, package, shown_path(str(file)), found, top=True)


def _mark(
    node: Any, path: KeyPath, file: str, found: dict[KeyPath, Origin], top: bool = False
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if top and key in ("defaults", "hydra"):
                continue
            mark = key_node.start_mark
            found[(*path, key)] = Origin(source=file, line=mark.line + 1, column=mark.column + 1)
            _mark(value_node, (*path, key), file, found)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            mark = item.start_mark
            place = (*path, str(position))
            found[place] = Origin(source=file, line=mark.line + 1, column=mark.column + 1)
            _mark(item, place, file, found)


def _override_keys(text: str) -> list[KeyPath]:
    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException:
        return []
    path = tuple(parsed.key_or_group.split("."))
    value = parsed.value()
    return [path, *_value_keys(value, path)]


def _value_keys(value: object, path: KeyPath) -> list[KeyPath]:
    if not isinstance(value, dict):
        return []
    keys: list[KeyPath] = []
    for key, item in value.items():
        keys += [(*path, str(key)), *_value_keys(item, (*path, str(key)))]
    return keys
