"""Partial configs: what can be composed while a command line is being written."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mlops_compile.compiler.compose.chosen import check_files
from mlops_compile.compiler.compose.overrides import given_overrides, open_keys
from mlops_compile.compiler.compose.search_path import loader_of
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
        self._loader: ConfigLoaderImpl | None = None
        with suppress(*_REFUSED):
            check_files(composition)
            self._loader = loader_of(composition.search_path)

    def groups(self, parent: str) -> tuple[str, ...]:
        """The groups inside of a group (`""`: all at the top)."""
        return self._found(parent, ObjectType.GROUP)

    def options(self, group: str) -> tuple[str, ...]:
        """The options of a group; nothing if there is none."""
        return self._found(group, ObjectType.CONFIG) if group else ()

    def config(self) -> dict[str, Any]:
        """The composed config as a plain tree, `hydra` among it, interpolations as written."""
        if self._loader is None:
            return {}
        try:
            with open_keys():
                given = [text for text, _ in given_overrides(self._composition)]
                name = self._composition.config_name
                config = self._loader.load_configuration(name, given, RunMode.MULTIRUN)
        except _REFUSED:
            return {}
        plain = OmegaConf.to_container(config, resolve=False)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    def _found(self, group: str, kind: ObjectType) -> tuple[str, ...]:
        if self._loader is None:
            return ()
        return tuple(sorted(self._loader.repository.get_group_options(group, kind)))
