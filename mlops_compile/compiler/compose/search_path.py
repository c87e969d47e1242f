"""The search path: a project's conf/ first, the built-in groups behind it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from mlops_compile.ir.resources import resource


class BuiltInGroups(SearchPathPlugin):
    """Adds the built-in config groups behind the user's own conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("mlops_compile", f"file://{resource('conf')}")


def config_directory(project: Path) -> Path:
    """The project's conf/, or the built-in one where nothing has that name."""
    own = (project / "conf").absolute()
    if own.is_dir():
        return own.resolve()
    return own if os.path.lexists(own) else resource("conf")


def directories_of(search_path: tuple[str, ...]) -> tuple[Path, ...]:
    """The directories of a search path; what else is in it (packages) is left out."""
    places = (place.removeprefix("file://") for place in search_path)
    return tuple(Path(place) for place in places if "://" not in place)


def config_files(search_path: tuple[str, ...]) -> Iterator[Path]:
    """The config files of a project's directories, in order; not the built-in ones."""
    for directory in directories_of(search_path):
        if directory != resource("conf"):
            yield from (file for file in sorted(directory.rglob("*.yaml")) if file.is_file())


def file_in(directory: Path, config_path: str) -> Path:
    """The file of a config path (`data/iris`) in a directory."""
    return directory / f"{config_path.removesuffix('.yaml')}.yaml"


def not_a_file(file: Path) -> str:
    """What stands in the place of a file; empty of a file."""
    if file.is_file():
        return ""
    if file.is_dir():
        return "a folder"
    return "a link to nothing" if file.is_symlink() else "no regular file"


def register_groups() -> None:
    """Make the built-in groups known to Hydra in this process."""
    Plugins.instance().register(BuiltInGroups)


def loader_of(places: tuple[str, ...]) -> ConfigLoaderImpl:
    """Hydra's loader over places: the primary one, then the built-in groups, then the rest.

    A place is a directory, or what Hydra takes with a scheme (`pkg://PACKAGE`).
    """
    register_groups()
    search_path = create_config_search_path(places[0])
    known = {address(str(element.path)) for element in search_path.get_path()}
    for place in places[1:]:
        if address(place) not in known:
            search_path.prepend("mlops_compile", address(place), anchor="schema")
    return ConfigLoaderImpl(config_search_path=search_path)


def options_of(search_path: tuple[str, ...], *, nested: bool = False) -> dict[str, tuple[str, ...]]:
    """The options of each group of a search path, sorted; not Hydra's own. `nested`: of groups in
    groups (`data/eu`) too, which takes looking at every folder."""
    found = loader_of(search_path).repository
    groups = [name for name in listed(found, "", ObjectType.GROUP) if name != "hydra"]
    for group in groups if nested else ():
        groups += [f"{group}/{name}" for name in listed(found, group, ObjectType.GROUP)]
    return {group: listed(found, group, ObjectType.CONFIG) for group in sorted(groups)}


def listed(repository: IConfigRepository, group: str, kind: ObjectType) -> tuple[str, ...]:
    """The options of a group, or the groups inside of it, sorted.

    Folders are looked at here: Hydra 1.4 refuses one that holds a file whose name ends in .yml.
    """
    found: set[str] = set()
    for source in repository.get_sources():
        if source.scheme() != "file":
            if source.is_group(group):
                found.update(source.list(group, kind))
            continue
        with contextlib.suppress(OSError):
            for entry in os.scandir(Path(source.path) / group):
                if kind == ObjectType.GROUP and entry.is_dir() and entry.name != "__pycache__":
                    found.add(entry.name)
                elif kind == ObjectType.CONFIG and entry.is_file() and entry.name.endswith(".yaml"):
                    found.add(entry.name.removesuffix(".yaml"))
    return tuple(sorted(found))


def address(place: str) -> str:
    """A place as Hydra writes it, with its scheme."""
    return place if "://" in place else f"file://{place}"


def shown_path(path: str) -> str:
    """A path as people know it: relative to the working directory where it lies below it;
    `mlops_compile:conf/...` of a built-in file, wherever that is installed."""
    place = Path(path)
    if place.is_relative_to(Path.cwd()):
        return str(place.relative_to(Path.cwd()))
    built_in = resource("conf")
    if place.is_relative_to(built_in):
        return f"mlops_compile:conf/{place.relative_to(built_in)}"
    return path
