"""The versions of installed distributions, read from the names of their metadata directories."""

from __future__ import annotations

import os
import re
import sys
from functools import cache

_DIST_INFO = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info\Z")
_SEPARATORS = re.compile(r"[-_.]+")


def installed_version(name: str) -> str | None:
    """The version of a distribution, or None if it is not installed.

    The directory's name says it (PEP 376 and 427); `importlib.metadata` is asked only where there
    is no such directory, since importing it takes longer than all of this.
    """
    found = _by_directory(tuple(sys.path)).get(_normal(name))
    if found is not None:
        return found
    import importlib.metadata  # rare, and slow to import

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _by_directory(path: tuple[str, ...]) -> dict[str, str]:
    """Versions by normal name; the first on the path wins, as it does for imports."""
    found: dict[str, str] = {}
    for place in path:
        try:
            entries = sorted(os.listdir(place or "."))
        except OSError:
            continue
        for entry in entries:
            if match := _DIST_INFO.match(entry):
                found.setdefault(_normal(match["name"]), match["version"])
    return found


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
