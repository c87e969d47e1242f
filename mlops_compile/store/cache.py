"""A cache of small values by name: losing it costs time, and a broken entry is no entry."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mlops_compile.ir.value import Value, canonical, parse
from mlops_compile.store.files import write_atomic


class FileCache:
    """One JSON file an entry. A directory that cannot be written keeps nothing, and says nothing:
    whoever asks computes the value again."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, key: str) -> Value:
        """The value, or None."""
        try:
            return parse((self._root / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Value) -> None:
        """Remember a value."""
        with contextlib.suppress(OSError):
            write_atomic(self._root / f"{key}.json", canonical(value))
