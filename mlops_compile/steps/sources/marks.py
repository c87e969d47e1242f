"""What texts of a file stand for: a missing value, or another text; everywhere or in single
columns."""

# pyarrow is imported inside the functions of `cells`: a warm compile imports this module.

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import KeyPath, Map, Value
from mlops_compile.steps.sources.cells import Texts, clean

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
MISSING_IN_DOC = "more such texts for single columns: {age: ['-1', '999']}"
REPLACE_DOC = "texts of single columns that stand for another one: {answer: {'yes.': 'yes'}}"
_OPTIONS: KeyPath = ("data", "source", "options")
_MISSING_IN: KeyPath = (*_OPTIONS, "missing_in")
_REPLACE: KeyPath = (*_OPTIONS, "replace")


def marks_problems(missing_in: Map, replace: Map) -> Iterator[Problem]:
    """Columns whose marks or replacements are no texts, or can never be found."""
    for name, marks in missing_in.items():
        if isinstance(marks, tuple) and all(isinstance(mark, str) for mark in marks):
            continue
        listed = marks if isinstance(marks, tuple) else ()
        wrong = next((mark for mark in listed if not isinstance(mark, str)), None)
        yield _no_text((*_MISSING_IN, name), "a list of texts", wrong, f'{name}: ["?", "-1"]')
    for name, texts in replace.items():
        if not isinstance(texts, Map):
            where, example = (*_REPLACE, name), f'{name}: {{"yes.": "yes"}}'
            yield _no_text(where, "a map of texts", None, example)
            continue
        yield from _replacement_problems(name, texts)


def _replacement_problems(name: str, texts: Map) -> Iterator[Problem]:
    for text, other in texts.items():
        where = (*_REPLACE, name, text)
        if not isinstance(other, str):
            yield _no_text(where, "a text", other, '"yes"')
        elif text != _trimmed(text) or other != _trimmed(other):
            message = "cells are trimmed before they are compared, so there is no such text"
            yield problem("option", message, where, "leave the white space out")


def _no_text(where: KeyPath, wanted: str, wrong: Value, example: str) -> Problem:
    if isinstance(wrong, bool | int | float):
        message = f"must be {wanted}, and YAML reads {wrong!r} as no text"
        hint = f'write "{str(wrong).lower() if isinstance(wrong, bool) else wrong}"'
        return problem("wrong-type", message, where, hint)
    return problem("wrong-type", f"must be {wanted}", where, f"for example {example}")


def _trimmed(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


class Marks:
    """What the texts of each column of a table stand for. CompileError where columns are named that
    are none of `names`."""

    def __init__(
        self,
        everywhere: tuple[str, ...],
        missing_in: Map,
        replace: Map,
        names: Sequence[str] | None = None,
    ) -> None:
        self._everywhere = everywhere
        self._own = missing_in
        self._replace = replace
        if names is None:
            return
        asked = [(_MISSING_IN, name) for name in missing_in]
        asked += [(_REPLACE, name) for name in replace]
        found = [no_column(name, (*where, name), names) for where, name in asked]
        if problems := [item for item in found if item is not None]:
            raise CompileError(problems)

    def missing(self, name: str) -> tuple[str, ...]:
        """The texts of a column that stand for a missing value."""
        own = self._own.get(name, ())
        assert isinstance(own, tuple)
        return (*self._everywhere, *map(str, own))

    def replaced(self, name: str) -> Mapping[str, str]:
        """The texts of a column that stand for another one."""
        texts = self._replace.get(name, Map())
        assert isinstance(texts, Map)
        return {text: str(other) for text, other in texts.items()}

    def clean(self, name: str, column: pa.Array) -> Texts:
        """A column's texts, trimmed, replaced, and null where one stands for a missing value."""
        return clean(column, self.missing(name), self.replaced(name))


def no_column(name: str, where: KeyPath, names: Sequence[str]) -> Problem | None:
    """The sentence for a column that a source does not have; None if it has it."""
    if name in names:
        return None
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)[:120]}"
    return problem("no-column", f"the data has no column {name!r}", where, hint)
