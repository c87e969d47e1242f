"""Where a project keeps what it knows."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.compiler.check import check_places
from mlops_compile.compiler.compose.config import compose
from mlops_compile.ir.config import Config
from mlops_compile.ir.problem import CompileError, StoreError, problem
from mlops_compile.store.cache import FileCache
from mlops_compile.store.store import Store

LATEST = "latest"  # of the cache: the action key that each step had in the last run


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a project keeps what it knows: results in `store/`, what can be lost in `cache/`."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store", time.time)

    @property
    def cache(self) -> FileCache:
        return FileCache(self.root / "cache")

    def made(self) -> None:
        """Make the root. CompileError where there can be no directory; one that cannot be written
        is left to those who write."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return
            message = f"there can be no directory {self.root}: {error.strerror}"
            hint = "name a directory: store.uri=.mlops is the default"
            raise CompileError([problem("store", message, ("store", "uri"), hint)]) from None


def state_of(config: Config, project: Path) -> State:
    """The state that a config names (`store.uri`). StoreError where it may not be entered."""
    root = project / check_places(config).store.uri
    for place in (root, root / "store"):
        if os.path.isdir(place) and not os.access(place, os.R_OK | os.X_OK):
            message = f"the store {place} cannot be entered: {os.strerror(errno.EACCES)}"
            hint = "ask its owner to let you in, or set store.uri to a directory of yours"
            raise StoreError([problem("store", message, ("store", "uri"), hint)])
    return State(root=root)


def state_with(overrides: Sequence[str], project: Path) -> State:
    """The state of a project whose config has these overrides."""
    return state_of(compose(tuple(overrides), project), project)
