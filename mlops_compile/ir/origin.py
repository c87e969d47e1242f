"""Where values were set: a place in a file, or an override; and every setting of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_compile.ir.value import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """Where a value was set: a file with line and column (from 1), or an override's text.

    `width` is how many characters from `column` on are meant (0: none in particular); `text` is
    the line, or the override, to be shown.
    """

    source: str
    line: int = 0
    column: int = 0
    width: int = field(default=0, compare=False)
    text: str = field(default="", compare=False)

    @classmethod
    def of_override(cls, text: str, begin: int = 0, end: int | None = None) -> Origin:
        """A part of an override's text (from 0), to its end where none is named."""
        width = max((len(text) if end is None else end) - begin, 0)
        return cls(source=f"override {text}", column=begin + 1, width=width, text=text)

    def __str__(self) -> str:
        if not self.line:
            return self.source
        column = f":{self.column}" if self.column else ""
        return f"{self.source}:{self.line}{column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a key: the marks of its key and of its value, the value as it is written, and
    for a key of a group's file what chose that file (`choice`: `data=iris`). `removed`: an override
    took the key away."""

    key: Origin
    value: Origin
    written: str
    choice: str = ""
    chosen: Origin | None = None
    removed: bool = False


# Every setting of each key in the order in which they came; the last is in force.
Settings = Mapping[KeyPath, tuple[Setting, ...]]
