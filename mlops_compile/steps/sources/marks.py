"""Texts that stand for a missing value, everywhere or in single columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import KeyPath, Map

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
_WHERE: KeyPath = ("data", "source", "options", "missing_in")


def marks_problems(missing_in: Map) -> Iterator[Problem]:
    """Columns whose marks are no texts."""
    for name, marks in missing_in.items():
        if isinstance(marks, tuple) and all(isinstance(mark, str) for mark in marks):
            continue
        listed = marks if isinstance(marks, tuple) else ()
        wrong = next((mark for mark in listed if not isinstance(mark, str)), None)
        if isinstance(wrong, bool | int | float):
            message = f"must be a list of texts, and YAML reads {wrong!r} as no text"
            hint = f'write "{wrong}"'
        else:
            message, hint = "must be a list of texts", f'for example {name}: ["?", "-1"]'
        yield problem("wrong-type", message, (*_WHERE, name), hint)


class Marks:
    """The marks of each column of a table with these names. CompileError for other names."""

    def __init__(self, everywhere: tuple[str, ...], missing_in: Map, names: Sequence[str]) -> None:
        self._everywhere = everywhere
        self._own = missing_in
        found = []
        for name in missing_in:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)[:120]}"
                message = f"the data has no column {name!r}"
                found.append(problem("no-column", message, (*_WHERE, name), hint))
        if found:
            raise CompileError(found)

    def of(self, name: str) -> tuple[str, ...]:
        """The marks of a column."""
        own = self._own.get(name, ())
        assert isinstance(own, tuple)
        return (*self._everywhere, *map(str, own))
