"""What was made of the very same objects is made once: passes over many configs share their work.

Python's `==` says that 1 is 1.0 and True; identity never confuses them, and costs no look inside.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Results by what they are, and by the objects that they were made from; those are kept, so
    that no other object takes their identity."""

    def __init__(self) -> None:
        self._made: dict[tuple[Hashable, tuple[int, ...]], tuple[tuple[object, ...], Any]] = {}

    def of(self, what: Hashable, made_from: tuple[object, ...], make: Callable[[], T]) -> T:
        """The result of `make`, which depends on `what` and on these objects alone."""
        key = (what, tuple(map(id, made_from)))
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = (made_from, make())
        result: T = found[1]
        return result
