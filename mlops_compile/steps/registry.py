"""Tables of named pieces: a name that is declared twice is refused when it registers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str: ...


Piece = TypeVar("Piece", bound=Named)


def registry(what: str, *pieces: Piece) -> Mapping[str, Piece]:
    """An immutable table of pieces by name; ValueError for a name declared twice."""
    table: dict[str, Piece] = {}
    for piece in pieces:
        if piece.name in table:
            raise ValueError(f"{what} {piece.name!r} is declared twice")
        table[piece.name] = piece
    return MappingProxyType(table)
