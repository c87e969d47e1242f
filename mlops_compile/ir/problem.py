"""Problems as values: what is wrong, where, and what to do; and the errors that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mlops_compile.ir.codes import CODES, Code
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.value import KeyPath, dotted

# What to do about a lock whose parts do not fit.
LOCK_HINT = "a lock is made, not edited; write it again with `mlops-compile compile`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `code` is a name of `CODES`, `where` the key (may be empty);
    `by_key`: the key is marked, not the value, whatever the code says; `note`: where a value comes
    from that an interpolation takes; `quotes`: the parts of message and hint that are values of the
    data."""

    code: str
    where: KeyPath = ()
    message: str
    hint: str = ""
    origin: Origin | None = None
    by_key: bool = False
    note: str = ""
    quotes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no such code of problems: {self.code!r}")

    @property
    def of(self) -> Code:
        """The code, with its number and text."""
        return CODES[self.code]

    def without_values(self) -> Problem:
        """The same without values of the data, which may be sensitive."""
        message, hint = self.message, self.hint
        for quote in self.quotes:
            message, hint = message.replace(quote, "..."), hint.replace(quote, "...")
        return replace(self, message=message, hint=hint, quotes=())

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


class DiffersError(ProblemsError):
    """What was made answers otherwise than what was evaluated."""

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


def problem(
    code: str,
    message: str,
    where: KeyPath = (),
    hint: str = "",
    *,
    by_key: bool = False,
    quotes: tuple[str, ...] = (),
) -> Problem:
    """A problem whose origin is found later, from its key."""
    return Problem(code=code, where=where, message=message, hint=hint, by_key=by_key, quotes=quotes)


def with_origins(problems: Iterable[Problem], settings: Settings) -> tuple[Problem, ...]:
    """The problems with the place where their key, or the nearest key around it, was set; in the
    order of these places, files before overrides."""

    def place(found: Problem) -> Problem:
        if found.origin is not None or not found.where:
            return found
        own = settings.get(found.where)
        if own:
            by_key = found.by_key or found.of.mark == "key"
            return replace(found, origin=own[-1].key if by_key else own[-1].value)
        below = (
            settings[key] for key in sorted(settings) if key[: len(found.where)] == found.where
        )
        if made := next(below, ()):
            return replace(found, origin=_part_of_key(made[-1].key, len(found.where)))
        around = (settings.get(found.where[:n]) for n in range(len(found.where) - 1, 0, -1))
        if made := next(filter(None, around), ()):
            return replace(found, origin=made[-1].key)
        return found

    return tuple(sorted(map(place, problems), key=_by_place))


def _part_of_key(key: Origin, depth: int) -> Origin:
    """Of an override's dotted key, the part at a depth; a file's key stays."""
    if key.line:
        return key
    written = key.text.partition("=")[0]
    begin = len(written) - len(written.lstrip("+~"))
    *before, part = written[begin:].split(".")[:depth]
    column = begin + sum(len(name) + 1 for name in before) + 1
    return replace(key, column=column, width=len(part))


def _by_place(found: Problem) -> tuple[bool, bool, str, int, int]:
    origin = found.origin
    if origin is None:
        return (True, True, "", 0, 0)
    return (False, not origin.line, origin.source, origin.line, origin.column)
