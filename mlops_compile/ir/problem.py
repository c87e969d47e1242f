"""Problems as values: what is wrong, where, and what to do; and the errors that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mlops_compile.ir.value import KeyPath, dotted


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """Where a value was set: a file with line and column (from 1), or an override's text."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.source
        return (
            f"{self.source}:{self.line}:{self.column}"
            if self.column
            else f"{self.source}:{self.line}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `code` is a stable short name, `where` the key (may be empty)."""

    code: str
    where: KeyPath = ()
    message: str
    hint: str = ""
    origin: Origin | None = None

    def __str__(self) -> str:
        place = f"{self.origin}: " if self.origin else ""
        key = f"{dotted(self.where)}: " if self.where else ""
        hint = f"\n  help: {self.hint}" if self.hint else ""
        return f"{place}{key}{self.message}{hint}"


class ProblemsError(Exception):
    """Carries every problem found at once; each kind of it has its own exit code."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        if not self.problems:
            raise ValueError("an error without a problem")
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class UsageError(ProblemsError):
    """The command line cannot be understood."""

    exit_code = 2


class CompileError(ProblemsError):
    """The config, the lock or the data is wrong."""

    exit_code = 3


class StaleError(ProblemsError):
    """The committed lock is not what the config compiles to."""

    exit_code = 4


class StepError(ProblemsError):
    """A step found, while running, that it cannot make its outputs."""

    exit_code = 5


class GateError(StepError):
    """The model was made, and a gate of `evaluate.gates` was not met."""

    exit_code = 6


class StoreError(ProblemsError):
    """The store, or a digest in it, is wrong."""

    exit_code = 7


def problem(code: str, message: str, where: KeyPath = (), hint: str = "") -> Problem:
    """A problem whose origin is found later, from its key."""
    return Problem(code=code, where=where, message=message, hint=hint)


def with_origins(
    problems: Iterable[Problem], origins: dict[KeyPath, Origin]
) -> tuple[Problem, ...]:
    """The problems with the place where their key, or the nearest key around it, was set."""

    def place(found: Problem) -> Problem:
        if found.origin is not None or not found.where:
            return found
        for depth in range(len(found.where), 0, -1):
            if origin := origins.get(found.where[:depth]):
                return replace(found, origin=origin)
        below = (origins[key] for key in sorted(origins) if key[: len(found.where)] == found.where)
        return replace(found, origin=next(below, None))

    return tuple(place(found) for found in problems)
