"""Places: the folders and packages that configs come from, and the primary config in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.sources_registry import SourcesRegistry

from mlops_compile.compiler.compose.marks import file_node, node_origin
from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.search_path import (
    address,
    directories_of,
    file_in,
    loader_of,
    not_a_file,
    register_groups,
    shown_path,
)
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.config import CONFIG_NAME, Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.resources import resource

_KEY = "hydra.searchpath"


def with_places(composition: Composition, project: Path) -> Composition:
    """A composition with the places that `hydra.searchpath` adds; CompileError where a place, or
    the primary config, is not there."""
    register_groups()
    primary, *more = composition.search_path
    if found := [*_inside_conf(project, primary), *_absent(primary, "--config-path")]:
        raise CompileError(found)
    found = [item for place in more for item in _absent(place, "--config-dir")]
    if (missing := _no_primary(composition)) is not None:
        raise CompileError([*found, missing])
    added = list(_added(composition))
    for place, origin in added:
        hints = f"{_KEY} is a list of folders, relative to the project, or pkg://PACKAGE"
        if not isinstance(place, str):
            found.append(_problem("wrong-type", f"{_KEY} takes a list of texts", hints, origin))
        else:
            found += [replace(item, origin=origin) for item in _absent(place, _KEY)]
    if found:
        raise CompileError(found)
    places = tuple(str(place) for place, _ in added)
    return replace(composition, search_path=(*composition.search_path, *places))


def _inside_conf(project: Path, primary: str) -> Iterator[Problem]:
    """That the working directory is a project's conf/, and not the project."""
    if primary != str(resource("conf")):
        return
    for place in (project, *project.parents):
        if place.name == "conf" and (place / f"{CONFIG_NAME}.yaml").is_file():
            up = os.path.relpath(place.parent, project)
            message = "this is inside of a conf/ folder, and a project is the folder around it"
            yield problem("no-option", message, hint=f"go there first: cd {up}")
            return


def _absent(place: str, asked: str) -> Iterator[Problem]:
    """Why a place cannot be read; nothing if it can."""
    scheme, _, rest = address(place).partition("://")
    hint = f"{asked} takes a folder, relative to the project"
    if asked != "--config-dir":
        hint += ", or pkg://PACKAGE"
    if scheme == "file":
        folder = Path(rest)
        if not folder.is_dir():
            name = shown_path(str(folder))
            message = f"there is no directory {name}"
            if os.path.lexists(folder):
                message = f"{name} is {not_a_file(folder) or 'a file'}, and must be a folder"
                if folder == Path.cwd() / "conf":
                    hint = "conf/ holds config.yaml and a folder for each group"
                elif asked == "--config-path":
                    hint += "; a file of it is named by --config-name"
            yield problem("no-option", message, hint=hint)
    elif scheme not in ("pkg", *_plugins()):
        yield problem("no-option", f"no configs can be read from {scheme}://", hint=hint)
    elif not rest or not _available(scheme, place):
        message = f"there is no package {rest!r} with configs" if rest else "there is no package"
        hint = (
            "it must be installed, and have an __init__.py: pkg://PACKAGE or pkg://PACKAGE.MODULE"
        )
        yield problem("no-option", message, hint=hint)


def _plugins() -> tuple[str, ...]:
    """The schemes that plugins of Hydra read."""
    own = ("file", "pkg", "structured")
    return tuple(name for name in SourcesRegistry.instance().types if name not in own)


def _available(scheme: str, place: str) -> bool:
    source: Any = SourcesRegistry.instance().resolve(scheme)
    try:
        return bool(source(provider="main", path=place).available())
    except (ImportError, ValueError, OSError):
        return False


def _no_primary(composition: Composition) -> Problem | None:
    """The primary config, if there is none of that name. The built-in one stands in only for a
    project that has no conf/ at all."""
    name = composition.config_name
    main, *behind = loader_of(composition.search_path).get_sources()[1:]
    sources = [main] if name == CONFIG_NAME else [main, *behind]
    directories = directories_of(composition.search_path)
    place = shown_path(composition.search_path[0])
    message = f"there is no config {name!r} in {place}"
    for directory in directories:
        file = file_in(directory, name)
        if os.path.lexists(file) and (what := not_a_file(file)):
            hint = "the primary config is a file"
            return _problem("no-option", f"{shown_path(str(file))} is {what}", hint, None)
    try:
        if any(source.is_config(name) for source in sources):
            return None
    except OSError as error:
        message += f": {error.strerror}"
    for directory in directories:
        if (wrong := directory / f"{name}.yml").is_file():
            hint = f"{shown_path(str(wrong))} is there, and only .yaml is read: rename it"
            return problem("no-option", message, hint=hint)
    found = {file.stem for place in directories for file in place.glob("*.yaml") if file.is_file()}
    names = tuple(sorted(found))
    hint = "write it, or make a project with `mlops-compile init`"
    if names and name == CONFIG_NAME:
        hint = f"name another one: --config-name {' or '.join(names)}"
    elif names:
        hint = suggest(name, names, "configs")
    return problem("no-option", message, hint=hint)


def _added(composition: Composition) -> Iterator[tuple[object, Origin]]:
    """What `hydra.searchpath` holds, of the command line or else of the primary config."""
    for text in composition.overrides:
        override = parsed(text)
        if override is not None and override.get_key_element().lstrip("+") == _KEY:
            value = override.value()
            begin = text.index("=") + 1
            for item in value if isinstance(value, list) else [None]:
                word = str(item)
                at = text.find(word, begin) if isinstance(item, str) else -1
                part = (at, at + len(word)) if at >= 0 else (begin, len(text))
                yield item, Origin.of_override(text, *part)
            return
    for directory in directories_of(composition.search_path[:1]):
        yield from _in_file(file_in(directory, composition.config_name))


def _in_file(file: Path) -> Iterator[tuple[object, Origin]]:
    try:
        node: Any = file_node(file)
        lines = file.read_text("utf-8").splitlines()
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return  # reading it tells
    for name in _KEY.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == name), None)
    if node is None or node.tag.endswith(":null"):
        return
    for item in node.value if isinstance(node, yaml.SequenceNode) else (node,):
        text = isinstance(node, yaml.SequenceNode) and isinstance(item, yaml.ScalarNode)
        if not text or "${" not in item.value:  # `purity` tells of interpolations
            yield item.value if text else None, node_origin(item, file, lines)


def _problem(code: str, message: str, hint: str, origin: Origin | None) -> Problem:
    return Problem(code=code, message=message, hint=hint, origin=origin)
