"""Reads many documents of one kind: what is equal in them becomes one object, by which later passes
know it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mlops_compile.ir.value import Map, Value, freeze, loaded

_COMPACT = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
# A table as `pretty` writes it: each row begins a line with two spaces; no text holds a line's end.
_BETWEEN = ',\n  "'
_NAME = re.compile(r'((?:[^"\\]|\\.)*)": (?=\{)')
# What stands in place of a table that was taken out; a canonical text would escape it.
_TAKEN = "\x7f table \x7f"


class Interned:
    """Freezes documents. Shared are the values of an object, and of one of its tables the rows and
    their values."""

    def __init__(self) -> None:
        self._known: dict[str, Value] = {}
        self._rows: dict[str, Value] = {}

    def parse(self, text: str, table: str) -> Value:
        """What `ir.value.parse` gives, of a document with a table of that name."""
        try:
            found = self._by_rows(text, table)
            return self._whole(loaded(text), table) if found is None else found
        except RecursionError:
            raise ValueError("values lie too deep in each other") from None

    def _whole(self, plain: Any, table: str) -> Value:
        if type(plain) is not dict:
            return freeze(plain)
        parts: list[tuple[str, Value]] = []
        for name, item in plain.items():
            if name == table and type(item) is dict:
                rows = tuple([(str(freeze(key)), self._row(row)) for key, row in item.items()])
                parts.append((str(freeze(name)), Map(rows)))
            else:
                parts.append((str(freeze(name)), self._shared(item)))
        return Map(tuple(parts))

    def _by_rows(self, text: str, table: str) -> Value | None:
        """The same, where the table is written as `pretty` does, so that rows are known by their
        texts and those of an earlier document need not be read again; None where it is not, or
        something is wrong with it."""
        head, opened, rest = text.partition(f'\n "{table}": {{\n  "')
        rows, closed, tail = rest.partition("\n }")
        if not opened or not closed or _TAKEN in text:
            return None
        try:
            plain = loaded(f'{head}"{table}": "{_TAKEN}"{tail}')
            if type(plain) is not dict or plain.get(table) != _TAKEN:
                return None
            parts = dict(self._split(rows))
        except ValueError:
            return None  # which reading it whole says in words
        if len(parts) != rows.count(_BETWEEN) + 1:
            return None
        return Map(
            tuple(
                (str(freeze(name)), Map(tuple(parts.items())) if name == table else self._shared(v))
                for name, v in plain.items()
            )
        )

    def _split(self, rows: str) -> Iterator[tuple[str, Value]]:
        """Each row. Where texts are split at other places than between rows, one of the pieces has
        a bracket too many, and is refused."""
        for piece in rows.split(_BETWEEN):
            name = _NAME.match(piece)
            if name is None:
                raise ValueError("no row")
            text = piece[name.end() :]
            found = self._rows.get(text)
            if found is None:
                found = self._rows[text] = self._parts(loaded(text))
            plain = name[1] if name[1].isascii() and "\\" not in name[1] else None
            yield plain or str(freeze(json.loads(f'"{name[1]}"'))), found

    def _row(self, plain: Any) -> Value:
        if type(plain) is not dict:
            return freeze(plain)
        key = _COMPACT.encode(plain)  # the order of keys counts: it is that of canonical texts
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = self._parts(plain)
        return found

    def _parts(self, plain: Any) -> Value:
        return Map(tuple([(str(freeze(name)), self._shared(v)) for name, v in plain.items()]))

    def _shared(self, plain: Any) -> Value:
        if type(plain) is not dict:
            return freeze(plain)
        key = _COMPACT.encode(plain)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = freeze(plain)
        return found
