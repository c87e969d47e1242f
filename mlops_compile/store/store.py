"""The store of a project: blobs, actions, and scratch space beside them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import StoreError, problem
from mlops_compile.store.actions import Action, ActionStore
from mlops_compile.store.blobs import BlobStore


class Store:
    """All results below one directory; it may be moved or copied as a whole."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = BlobStore(root)
        self.actions = ActionStore(root)

    def find(self, key: str) -> Action | None:
        """The action of a key whose blobs are all there; None if it is to be made (again)."""
        action = self.actions.get(key)
        if action is None or not all(self.blobs.has(digest) for digest in action.blobs):
            return None
        return action

    def outputs(self, key: str) -> Mapping[str, Digest] | None:
        """The outputs of a key that is made."""
        action = self.find(key)
        return dict(action.outputs) if action else None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory of this process on the store's file system, removed at the end; those that
        dead processes left behind are removed too."""
        parent = self.root / "scratch"
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"the store {self.root} cannot be written: {error.strerror or error}"
            hint = "set store.uri to a directory that can be written"
            raise StoreError([problem("store", message, ("store", "uri"), hint)]) from None
        self._sweep(parent)
        directory, lock = _locked_directory(parent)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)

    def _sweep(self, parent: Path) -> None:
        for left in parent.iterdir():
            with contextlib.suppress(OSError):
                lock = os.open(left / ".lock", os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(lock)


def _locked_directory(parent: Path) -> tuple[Path, int]:
    """A new directory and its held lock; another one if a sweep took it before it was locked."""
    while True:
        directory = Path(tempfile.mkdtemp(dir=parent))
        lock = os.open(directory / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (directory / ".lock").exists():
            return directory, lock
        os.close(lock)
