"""Hydra's loader of a search path, and what groups and options it finds."""

from __future__ import annotations

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

from mlops_compile.compiler.compose.search_path import directories_of


def loader_of(search_path: tuple[str, ...]) -> ConfigLoaderImpl:
    """A loader of these places, Hydra's own first, as Hydra makes it."""
    places = ConfigSearchPathImpl()
    places.append("hydra", "pkg://hydra.conf")
    for number, place in enumerate(search_path):
        places.append("main" if number == 0 else f"place {number}", place)
    places.append("schema", "structured://")
    return ConfigLoaderImpl(config_search_path=places)


def options_of(search_path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The options of each group (one folder deep) of a search path, sorted."""
    found: dict[str, set[str]] = {}
    for directory in directories_of(search_path):
        for file in directory.glob("*/*.yaml"):
            found.setdefault(file.parent.name, set()).add(file.stem)
    return {group: tuple(sorted(names)) for group, names in sorted(found.items())}
