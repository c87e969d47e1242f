"""Secret: columns that are marked sensitive appear on no page, in whatever text they are named."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.derive import derived_of

INSTEAD = "(sensitive)"
# A feature that is made of a sensitive column is named so by the step `prepare`.
_MADE = re.compile(r"#\d+( \(feature \d+\))?\Z")


@dataclass(frozen=True, kw_only=True)
class Secret:
    """The names of sensitive columns, and of those that derive from them."""

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Value) -> Secret:
        """Those that the document of a lock marks, of one plan or of a sweep."""
        found = {name for name, column in _all(document, "columns") if _is_marked(column)}
        derived = dict(_all(document, "derive"))
        for name, spec in derived_of(Map({"derive": _whole(derived)})).items():
            found |= {name} if found & {*spec.columns} else set()
        return cls(names=tuple(sorted(found)))

    def hides_feature(self, name: str) -> bool:
        """Whether a prepared feature is made of one of them."""
        return bool(_MADE.search(name)) and name.startswith(self.names)

    def text(self, text: str) -> str:
        """A text in which none of them is named."""
        return self._pattern.sub(INSTEAD, text) if self.names else text

    def drawing(self, svg: str) -> str:
        """A drawing in whose texts none of them is named."""
        if not self.names:
            return svg

        def told(found: re.Match[str]) -> str:
            return f">{html.escape(self.text(html.unescape(found[1])), quote=False)}<"

        return re.sub(r">([^<>]+)<", told, svg)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest = sorted(self.names, key=lambda name: (-len(name), name))
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)")


def _all(value: Value, key: str) -> Iterator[tuple[str, Value]]:
    """The items of every map that stands under a key, at any depth."""
    if isinstance(value, tuple):
        for item in value:
            yield from _all(item, key)
    for name, item in value.items() if isinstance(value, Map) else ():
        if name == key and isinstance(item, Map):
            yield from item.items()
        yield from _all(item, key)


def _is_marked(column: Value) -> bool:
    return isinstance(column, Map) and column.get("sensitive") is True


def _whole(derived: dict[str, Value]) -> Map:
    """The derived columns that are stated whole; points of a sweep state what differs."""
    return Map({name: spec for name, spec in derived.items() if isinstance(spec, Map)})
