"""Patterns for the names of files, and names that readers pass over."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_PATTERN = re.compile(r"[*?\[]")


def fixed_part(path: str) -> str:
    """The folder in front of the first part of a path that is a pattern."""
    parts = path.split("/")
    first = next(n for n, part in enumerate(parts) if _PATTERN.search(part))
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else ".")


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder on the way to it, is one that writers leave behind (`_SUCCESS`,
    `.crc`) and readers pass over; `_name=value` is a partition."""
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part)
        for part in PurePosixPath(name).parts
    )


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern for names."""
    return _PATTERN.search(path) is not None
