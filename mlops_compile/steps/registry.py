"""Tables of named pieces, each in a module that is imported when the piece is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

Piece = TypeVar("Piece")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A kind that a config may name, and the dataclass of its keys."""

    name: str
    spec: type[Any]


class Pieces(Mapping[str, Piece], Generic[Piece]):
    """An immutable table of pieces by name.

    A config uses few of the sources, preparations and families that there are, so their modules are
    named (`module:attribute`) and imported one by one. ValueError for a name declared twice.
    """

    def __init__(self, what: str, *places: tuple[str, str]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, Piece] = {}
        names = [name for name, _ in places]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the {what} {twice[0]!r} is declared twice")
        self._what = what

    def __getitem__(self, name: str) -> Piece:
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            piece: Any = getattr(import_module(module), attribute)
            if piece.name != name:
                raise ValueError(f"the {self._what} {name!r} calls itself {piece.name!r}")
            self._loaded[name] = piece
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


def table(what: str, *pieces: Any) -> Mapping[str, Any]:
    """A plain table of pieces that are declared where it stands. ValueError for a name twice."""
    found = {piece.name: piece for piece in pieces}
    if len(found) != len(pieces):
        raise ValueError(f"a {what} is declared twice: {[piece.name for piece in pieces]}")
    return found
