"""Pins: locks that a person wants to keep the results of, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mlops_compile.store.files import make_directory, sync_directory, write_atomic
from mlops_compile.store.guard import Guard

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")


class Pins:
    """The texts of locks, one file a name. They are kept as they were given."""

    def __init__(self, root: Path, guard: Guard) -> None:
        self._store = root
        self._root = root / "pins"
        self._guard = guard

    def put(self, name: str, lock: str) -> None:
        """Pin a lock. ValueError for a name that no file can have; OSError where it cannot be
        written."""
        if not _NAME.match(name):
            raise ValueError("a pin's name is of letters, digits, `_`, `-` and `.`")
        make_directory(self._root, self._store)
        with self._guard.shared():
            write_atomic(self.place(name), lock.encode("utf-8"))

    def remove(self, name: str) -> bool:
        """Take a pin away; whether it was there."""
        if name not in self.all():
            return False
        self.place(name).unlink()
        sync_directory(self._root)
        return True

    def all(self) -> Mapping[str, str]:
        """The texts of all locks that are pinned, by name; damaged bytes are shown as such."""
        return {
            file.stem: file.read_bytes().decode("utf-8", "replace")
            for file in sorted(self._root.glob("[!.]*.json"))
        }

    def place(self, name: str) -> Path:
        """Where a pin is, or would be."""
        return self._root / f"{name}.json"
