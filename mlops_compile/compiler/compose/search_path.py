"""The search path: a project's conf/ first, the built-in groups behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
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
    """The project's conf/, or the built-in one where it has none."""
    own = project / "conf"
    return own.resolve() if own.is_dir() else resource("conf")


def directories_of(search_path: tuple[str, ...]) -> tuple[Path, ...]:
    """The directories of a search path; what else is in it (packages) is left out."""
    places = (place.removeprefix("file://") for place in search_path)
    return tuple(Path(place) for place in places if "://" not in place)


def config_files(search_path: tuple[str, ...]) -> Iterator[Path]:
    """The config files of a project's directories, in order; not the built-in ones."""
    for directory in directories_of(search_path):
        if directory != resource("conf"):
            yield from sorted(directory.rglob("*.yaml"))


def register_groups() -> None:
    """Make the built-in groups known to Hydra in this process."""
    Plugins.instance().register(BuiltInGroups)


def loader_of(places: tuple[str, ...]) -> ConfigLoaderImpl:
    """Hydra's loader over places: the primary one, then the built-in groups, then the rest.

    A place is a directory, or what Hydra takes with a scheme (`pkg://PACKAGE`).
    """
    register_groups()
    search_path = create_config_search_path(places[0])
    known = {_address(str(element.path)) for element in search_path.get_path()}
    for place in places[1:]:
        if _address(place) not in known:
            search_path.prepend("mlops_compile", _address(place), anchor="schema")
    return ConfigLoaderImpl(config_search_path=search_path)


def options_of(search_path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The options of each group (one folder deep) of a search path, sorted; not Hydra's own."""
    found = loader_of(search_path).repository  # the loader itself copies it at each question
    groups = sorted(set(found.get_group_options("", ObjectType.GROUP)) - {"hydra"})
    return {
        group: tuple(sorted(found.get_group_options(group, ObjectType.CONFIG))) for group in groups
    }


def _address(place: str) -> str:
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
