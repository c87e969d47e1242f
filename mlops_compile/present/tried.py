"""Tried: the trials of a search, or the points of a sweep, as values that figures are drawn of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops_compile.ir.value import Value, dotted, same
from mlops_compile.present.words import plain_key, short, value_text
from mlops_compile.steps.spaces import Choices, Space

MOST_DRAWN = 300
_MOST_LEVELS = 12
NOT_SET = "not set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One that was tried: its name on the page, its values by key, and what it came to; None where
    it failed."""

    name: str
    number: int
    values: Mapping[str, Value]
    objective: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A key that is varied: numbers, evenly or by their logarithm, or `levels` by their text."""

    key: str
    log: bool = False
    levels: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return short(plain_key(self.key), 24)

    def at(self, one: Try) -> float | None:
        """The place of a try on the axis; None where it has no value there."""
        if self.key not in one.values:
            return None
        value = one.values[self.key]
        if self.levels:
            text = value_text(value)
            return float(self.levels.index(text)) if text in self.levels else None
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """All that were tried, by a metric that is maximised or minimised, and the axes they vary."""

    what: str  # trial, or point
    metric: str
    maximize: bool
    tries: tuple[Try, ...]
    axes: tuple[Axis, ...]

    @property
    def good(self) -> list[Try]:
        """Those that have an objective, the best first."""
        found = [one for one in self.tries if one.objective is not None]
        return sorted(found, key=lambda one: (self.cost(one), one.number))

    def cost(self, one: Try) -> float:
        """The objective so that less is better."""
        assert one.objective is not None
        return -one.objective if self.maximize else one.objective

    @property
    def drawn(self) -> list[Try]:
        """The best third of what can be drawn, and others evenly spaced; the best first."""
        good = self.good
        if len(good) <= MOST_DRAWN:
            return good
        kept, rest = good[: MOST_DRAWN // 3], good[MOST_DRAWN // 3 :]
        step = len(rest) / (MOST_DRAWN - len(kept))
        return kept + [rest[math.floor(n * step)] for n in range(MOST_DRAWN - len(kept))]

    @property
    def thinned(self) -> str:
        """What is said where not all are drawn."""
        total, shown = len(self.good), len(self.drawn)
        if shown == total:
            return ""
        return f" Drawn are {shown} of {total:,}: the best, and others evenly spaced by rank."


def axes_of_space(space: Space) -> tuple[Axis, ...]:
    """The axes of a search's space, by key."""
    found: dict[str, Axis] = {}
    for domain in space.domains:
        key, held = dotted(domain.path), domain.held
        if isinstance(held, Choices):
            levels = tuple(dict.fromkeys(value_text(value) for value in held.values))
            before = found[key].levels if key in found else ()
            found[key] = Axis(key=key, levels=tuple(dict.fromkeys((*before, *levels))))
        elif key not in found:
            found[key] = Axis(key=key, log=held.log)
    return tuple(found.values())


def axes_of_values(tries: Sequence[Try]) -> tuple[Axis, ...]:
    """The axes of keys that differ between tries: numbers where all are, else levels; by their
    logarithm where the largest is more than a hundred times the least."""
    keys = dict.fromkeys(key for one in tries for key in one.values)
    return tuple(
        axis
        for key in keys
        if (axis := _axis(key, [one.values[key] for one in tries if key in one.values], len(tries)))
    )


def _axis(key: str, values: list[Value], count: int) -> Axis | None:
    if len(values) == count and all(same(value, values[0]) for value in values):
        return None
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        return Axis(key=key, log=min(numbers) > 0 and max(numbers) > 100 * min(numbers))
    levels = tuple(dict.fromkeys(map(value_text, values)))
    return Axis(key=key, levels=levels) if len(levels) <= _MOST_LEVELS else None
