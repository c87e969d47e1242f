"""Partial configs: what can be composed while a command line is being written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from hydra._internal.config_repository import IConfigRepository
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mlops_compile.compiler.compose.chosen import check_files
from mlops_compile.compiler.compose.overrides import bare_keys, given_overrides, open_keys
from mlops_compile.compiler.compose.search_path import listed, loader_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.problem import CompileError

# Whoever presses Tab has not finished: what cannot be composed is told when it is run.
_REFUSED = (
    *(HydraException, OmegaConfBaseException, CompileError, YAMLError, OSError, RecursionError),
    *(ValueError, TypeError, AttributeError, ImportError, RuntimeError, AssertionError),
)


class Partial:
    """The groups of a composition and the config that it gives so far; empty where it fails."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._loader = loader_of(composition.search_path)

    def groups(self, parent: str) -> tuple[str, ...]:
        """The groups inside of a group (`""`: all at the top)."""
        return self._found(parent, ObjectType.GROUP)

    def options(self, group: str) -> tuple[str, ...]:
        """The options of a group, those of the groups inside of it too; nothing if there is
        none."""
        if not group:
            return ()
        inner = [
            f"{name}/{option}"
            for name in self.groups(group)
            for option in self.options(f"{group}/{name}")
        ]
        return (*self._found(group, ObjectType.CONFIG), *inner)

    def configs(self) -> tuple[str, ...]:
        """The primary configs that there are."""
        return self._found("", ObjectType.CONFIG)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed config as a plain tree, `hydra` among it, interpolations as written."""
        plain = OmegaConf.to_container(self._composed, resolve=False)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    def resolved(self, path: Sequence[str]) -> Any:
        """The value at a path whose interpolations are resolved; None where they cannot be."""
        try:
            found = OmegaConf.select(self._composed, ".".join(path))
        except _REFUSED:
            return None
        return OmegaConf.to_container(found, resolve=False) if OmegaConf.is_config(found) else found

    @cached_property
    def _composed(self) -> DictConfig:
        for given in self._readings():
            try:
                with open_keys(), warnings.catch_warnings(action="ignore"):
                    check_files(self._composition)
                    name = self._composition.config_name
                    return self._loader.load_configuration(name, given, RunMode.MULTIRUN)
            except _REFUSED:
                continue
        return OmegaConf.create()

    @cached_property
    def _written(self) -> list[str]:
        return [bare_keys(text) for text in self._composition.overrides]

    def _readings(self) -> Iterator[list[str]]:
        """The overrides as they are written, and with `experiment=` as the defaults list wants it:
        a second reading, since to find that out takes half as long as to compose."""
        yield self._written
        placed = [text for text, _ in given_overrides(self._composition)]
        if placed != self._written:
            yield placed

    @cached_property
    def _repository(self) -> IConfigRepository:
        """The search path, with what the primary config adds to it (`hydra.searchpath`)."""
        name = self._composition.config_name
        try:
            with warnings.catch_warnings(action="ignore"):
                check_files(self._composition)
                # The loader's own method for a group's options does this anew for each of them.
                return self._loader._parse_overrides_and_create_caching_repo(name, self._written)[1]
        except _REFUSED:
            return self._loader.repository

    def _found(self, group: str, kind: ObjectType) -> tuple[str, ...]:
        return listed(self._repository, group, kind)
