"""One parameter of a model family: what a config may set it to, told without its library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "list": "a list",
}
"""The types of values, and how they are called."""

_LONGEST_DOC = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter by its library's name.

    `types` are names of `TYPES`: a "float" may be written as an integer, a "list" holds plain
    scalars, and only those of the other `types` where there are any. `choices` (of texts; none
    means any) and the bounds `low` and `high` (which belong to the range unless they are open)
    hold for the items of a list too. `nullable` says whether the library takes None. `default` is
    the library's, for information: None also where it has none or where a list stands for it.
    `refused` says why a config cannot set the parameter; it is empty if one can. Raises ValueError
    for a table that contradicts itself.
    """

    name: str
    types: tuple[str, ...]
    nullable: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    aliases: tuple[str, ...] = ()
    default: bool | int | float | str | None = None
    doc: str = ""
    refused: str = ""

    def __post_init__(self) -> None:
        numeric = "int" in self.types or "float" in self.types
        bounded = self.low is not None or self.high is not None
        faults = {
            "has no name": not self.name,
            "has no types, or unknown ones": not self.types or not set(self.types) <= set(TYPES),
            "has choices, but takes no text": bool(self.choices) and "str" not in self.types,
            "has bounds, but takes no number": bounded and not numeric,
            "has an empty range": _empty(self),
            "is its own alias": self.name in self.aliases,
            "has a long doc": len(self.doc) > _LONGEST_DOC or "\n" in self.doc,
        }
        for fault in (text for text, holds in faults.items() if holds):
            raise ValueError(f"the parameter {self.name!r} {fault}")

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Parameter:
        """The parameter that `to_dict` wrote; TypeError for a missing or unknown field."""
        made: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in table.items()
        }
        return cls(**made)

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain values for JSON, without those that are at their default."""
        pairs = [(field, getattr(self, field.name)) for field in fields(self)]
        return {
            field.name: list(item) if isinstance(item, tuple) else item
            for field, item in pairs
            if field.default is MISSING or item != field.default
        }

    def complaint(self, value: object) -> str | None:
        """Why a plain value is not acceptable, as the end of a sentence; None if it is.

        Looks at the value alone, not at `refused`.
        """
        if value is None and self.nullable:
            return None
        if isinstance(value, list | tuple) and "list" in self.types:
            return self._of_list(value)
        return self._of_scalar(value)

    def _of_list(self, items: list[Any] | tuple[Any, ...]) -> str | None:
        others = tuple(name for name in self.types if name != "list")
        for position, item in enumerate(items, start=1):
            complaint = self._of_scalar(item, others or ("int", "float", "bool", "str"))
            if complaint is not None:
                return f"{complaint} (item {position} of the list)"
        return None

    def _of_scalar(self, value: object, types: tuple[str, ...] = ()) -> str | None:
        expected = types or self.types
        if not any(_is(value, name) for name in expected):
            wanted = self._expected(expected)
            return f"must be {wanted}{_joint(wanted)} not {_shown(value)}"
        if isinstance(value, str):
            if not self.choices or value in self.choices:
                return None
            wanted = self._choices()
            return f"must be {wanted}{_joint(wanted)} not {value!r}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._of_number(value)
        return None

    def _of_number(self, value: int | float) -> str | None:
        if not _finite(value):
            return f"must be a finite number, not {_shown(value)}"
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            sign = ">" if self.low_open else ">="
            return f"must be {sign} {_number(self.low)}, not {_shown(value)}"
        if self.high is not None and (value > self.high or (self.high_open and value == self.high)):
            sign = "<" if self.high_open else "<="
            return f"must be {sign} {_number(self.high)}, not {_shown(value)}"
        return None

    def _expected(self, types: tuple[str, ...]) -> str:
        """`a whole number or a list`; where any number will do, whole ones go without saying."""
        named = [name for name in types if not (name == "int" and "float" in types)]
        texts = [self._choices() if name == "str" else TYPES[name] for name in named]
        return " or ".join(texts)

    def _choices(self) -> str:
        if not self.choices:
            return TYPES["str"]
        return f"one of {', '.join(self.choices)}" if self.choices[1:] else repr(self.choices[0])


def _empty(parameter: Parameter) -> bool:
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        return False
    return low > high or (low == high and (parameter.low_open or parameter.high_open))


def _is(value: object, name: str) -> bool:
    """Whether a value has a type of `TYPES`; a bool is no number."""
    match name:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case _:
            return isinstance(value, list | tuple)


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _joint(wanted: str) -> str:
    """What parts the wanted from the given: an enumeration has commas of its own."""
    return ";" if ", " in wanted else ","


def _number(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else repr(bound)


def _shown(value: object) -> str:
    """A wrong value as people know it from their config."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value!r}"
        case float():
            return repr(value)
        case int():
            return str(value) if abs(value) < 10**20 else "a whole number beyond 10^20"
        case Mapping():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
