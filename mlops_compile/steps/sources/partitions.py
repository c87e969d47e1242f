"""Hive partitions: folders called `name=value`, whose names and values are columns."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

_NONE = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(name: str) -> tuple[tuple[str, str | None], ...]:
    """The names and values that the folders of a file's name tell, in order; None is missing."""
    found = []
    for folder in name.split("/")[:-1]:
        key, sign, value = folder.partition("=")
        if sign and key:
            text = unquote(value)
            found.append((unquote(key), None if text in (_NONE, "") else text))
    return tuple(found)


def other_partitions(names: Sequence[str]) -> tuple[str, str] | None:
    """Two files whose folders do not name the same columns; None if all do."""
    keys = [[key for key, _ in partitions_of(name)] for name in names]
    for name, own in zip(names, keys, strict=True):
        if own != keys[0]:
            return names[0], name
    return None
