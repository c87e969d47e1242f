"""The search path: a project's conf/ first, the built-in groups behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
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


def search_path_of(*directories: Path) -> tuple[str, ...]:
    """The search path of a project's directories, and the built-in groups behind them."""
    places = [f"file://{directory}" for directory in directories]
    return tuple(dict.fromkeys([*places, f"file://{resource('conf')}"]))


def directories_of(search_path: tuple[str, ...]) -> tuple[Path, ...]:
    """The directories of a search path; what else is in it (packages) is left out."""
    files = (place for place in search_path if place.startswith("file://"))
    return tuple(Path(place.removeprefix("file://")) for place in files)


def config_files(search_path: tuple[str, ...]) -> Iterator[Path]:
    """The config files of a project's directories, in order; not the built-in ones."""
    for directory in directories_of(search_path):
        if directory != resource("conf"):
            yield from sorted(directory.rglob("*.yaml"))


def register_groups() -> None:
    """Make the built-in groups known to Hydra in this process."""
    Plugins.instance().register(BuiltInGroups)


def group_names(project: Path) -> frozenset[str]:
    """The config groups: folders of the project's conf/ and of the built-in one."""
    places = (config_directory(project), resource("conf"))
    return frozenset(path.name for place in places for path in place.iterdir() if path.is_dir())


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
