"""Spaces: the values that trials take, their points, and the configs that these make."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any, TypeAlias

from mlops_compile.ir.value import KeyPath, Map, Value, dotted, same
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters

FAMILY: KeyPath = ("model", "family")
PARAMS: KeyPath = ("model", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both of them among them; whole ones, or any; `step` apart, or
    evenly by their logarithm."""

    low: float
    high: float
    integer: bool
    step: float | None = None
    log: bool = False

    def at(self, share: float) -> int | float:
        """The number at a share in [0, 1) of the range."""
        if self.step is not None:
            return self.stepping(min(int(share * self.count), self.count - 1))
        if not self.integer:
            if not self.log:
                return self.low + share * (self.high - self.low)
            ends = math.log(self.low), math.log(self.high)
            return self._within(math.exp(ends[0] + share * (ends[1] - ends[0])))
        if not self.log:
            return int(self.low) + min(int(share * self.count), self.count - 1)
        # Each integer has the share of the numbers that are rounded to it.
        ends = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return int(self._within(round(math.exp(ends[0] + share * (ends[1] - ends[0])))))

    @property
    def count(self) -> int:
        """How many numbers there are, where there are steps."""
        step = self.step if self.step is not None else 1
        return math.floor((self.high - self.low) / step * (1 + 1e-12) + 1e-9) + 1

    @property
    def stepped(self) -> bool:
        """Whether the numbers can be counted out."""
        return self.step is not None or (self.integer and not self.log)

    def all(self) -> tuple[int | float, ...]:
        """Every number of a range with steps."""
        return tuple(map(self.stepping, range(self.count)))

    def stepping(self, place: int) -> int | float:
        """The number so many steps above the lowest, as one would write it: 0.7, where floats would
        add 0.1 to 0.7000000000000001."""
        step = Decimal(repr(self.step if self.step is not None else 1))
        return self.number(float(Decimal(repr(self.low)) + place * step))

    def nearest(self, number: float) -> int | float:
        """The number of the range that another stands for: itself, or by steps the nearest."""
        if self.step is None:
            return self.number(number)
        return self.stepping(round((number - self.low) / self.step))

    def number(self, value: float) -> int | float:
        return int(value) if self.integer else float(value)

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Values of which one is taken."""

    values: tuple[Value, ...]


Values: TypeAlias = Mapping[KeyPath, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What one key of the config may be in a trial; only where every key of `when` has one of its
    values. `where` is its place below `search.space`."""

    path: KeyPath
    held: Range | Choices
    where: KeyPath
    when: tuple[tuple[KeyPath, tuple[Value, ...]], ...] = ()

    def holds(self, values: Values, config: Map) -> bool:
        """Whether it is part of a trial whose earlier values are these."""
        return all(
            any(same(values.get(path, _at(config, path)), value) for value in wanted)
            for path, wanted in self.when
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A value that a key has in a trial wherever `when` holds."""

    path: KeyPath
    value: Value
    when: tuple[tuple[KeyPath, tuple[Value, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The domains of a search in the order in which they are drawn: those that others depend on
    first. `fixed` are values that come with a family."""

    domains: tuple[Domain, ...] = ()
    fixed: tuple[Fixed, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The families that are tried, where there is a choice of them."""
        for domain in self.domains:
            if domain.path == FAMILY and isinstance(domain.held, Choices):
                return tuple(map(str, domain.held.values))
        return ()

    def values(self, values: Mapping[str, Value]) -> dict[KeyPath, Value]:
        """Values by key path, of those by dotted keys that trials are told with."""
        known = {dotted(domain.path): domain.path for domain in self.domains}
        return {known[name]: value for name, value in values.items()}


def shown(values: Values) -> Map:
    """The values of a trial by dotted keys, as they are told."""
    return Map({dotted(path): value for path, value in values.items()})


def varied(config: Map) -> Map:
    """The config that trials of a search vary: the search's own, without the search itself."""
    search = config.get("search", Map())
    assert isinstance(search, Map)
    kept = {name: item for name, item in search.items() if name == "refit"}
    return Map({**config, "search": Map(kept)})


def trial_values(config: Map, space: Space, values: Values) -> Map:
    """The config of a trial: the one that trials vary, with these values.

    A family that is not the config's own has no parameters but those of the space.
    """
    made: Map = config
    fixed = [item for item in space.fixed if _active(item.when, values, config)]
    if FAMILY in values and values[FAMILY] != _at(config, FAMILY):
        made = _put(made, PARAMS, Map())
    for path, value in (*((item.path, item.value) for item in fixed), *values.items()):
        made = _put(made, path, value)
    return made


def without_searched(config: Map, space: Space) -> Map:
    """A config without the values that every trial replaces."""
    made = config
    for domain in space.domains:
        if domain.path != FAMILY and domain.when == ():
            for path in _names(domain.path, str(_at(config, FAMILY))):
                made = _drop(made, path)
    return made


def _names(path: KeyPath, family: str) -> tuple[KeyPath, ...]:
    """A key, and the other names that its library has for the same parameter."""
    for item in parameters(family) if path[:2] == PARAMS and family in FAMILIES else ():
        if path[2] in (item.name, *item.aliases):
            return tuple((*PARAMS, name) for name in (item.name, *item.aliases))
    return (path,)


def grid_points(space: Space, config: Map) -> Iterator[dict[KeyPath, Value]]:
    """Every point of a space whose ranges have steps, each once, the last domain changing
    fastest."""
    yield from _grid(space.domains, {}, config)


def _grid(
    domains: tuple[Domain, ...], values: dict[KeyPath, Value], config: Map
) -> Iterator[dict[KeyPath, Value]]:
    if not domains:
        yield values
        return
    first, rest = domains[0], domains[1:]
    if not first.holds(values, config):
        yield from _grid(rest, values, config)
        return
    held = first.held.values if isinstance(first.held, Choices) else first.held.all()
    for value in held:
        yield from _grid(rest, {**values, first.path: value}, config)


def point_at(space: Space, config: Map, share: Mapping[KeyPath, float]) -> dict[KeyPath, Value]:
    """The point at a share in [0, 1) of each domain, by its place."""
    values: dict[KeyPath, Value] = {}
    for domain in space.domains:
        if not domain.holds(values, config):
            continue
        held, at = domain.held, share[domain.where]
        if isinstance(held, Choices):
            values[domain.path] = held.values[min(int(at * len(held.values)), len(held.values) - 1)]
        else:
            values[domain.path] = held.at(at)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """A point that shows one end or choice of a domain: `place`, below the domain. `places` tells
    of each of its values the domain, and the place below it."""

    domain: Domain
    place: KeyPath
    point: dict[KeyPath, Value]
    places: dict[KeyPath, tuple[Domain, KeyPath]]


def variations(space: Space, config: Map) -> Iterator[Variation]:
    """Points that show each end and each choice of every domain at least once, the rest being the
    first of its domain."""
    for conditions in _conditions(space):
        base: dict[KeyPath, Value] = {}
        places: dict[KeyPath, tuple[Domain, KeyPath]] = {}
        for domain in space.domains:
            if domain.path in conditions:
                held = conditions[domain.path]
                place = next(end for end, value in _ends(domain.held) if same(value, held))
            elif domain.holds(base, config):
                place, held = _ends(domain.held)[0]
            else:
                continue
            base[domain.path], places[domain.path] = held, (domain, place)
        for domain, place in [*places.values()]:
            if domain.path in conditions:
                yield Variation(domain=domain, place=place, point=base, places=places)
                continue
            for end, value in _ends(domain.held):
                yield Variation(
                    domain=domain,
                    place=end,
                    point={**base, domain.path: value},
                    places={**places, domain.path: (domain, end)},
                )


def _conditions(space: Space) -> Iterator[dict[KeyPath, Value]]:
    """Every choice of the values that other domains depend on."""
    asked = {path for domain in space.domains for path, _ in domain.when}
    asked |= {FAMILY}
    held = [
        [(domain.path, value) for value in domain.held.values]
        for domain in space.domains
        if domain.path in asked and isinstance(domain.held, Choices)
    ]
    for chosen in product(*held):
        yield dict(chosen)


def _ends(held: Range | Choices) -> tuple[tuple[KeyPath, Value], ...]:
    if isinstance(held, Choices):
        return tuple((("choices", str(n)), value) for n, value in enumerate(held.values))
    last = held.all()[-1] if held.stepped else held.number(held.high)
    return (("low",), held.number(held.low)), (("high",), last)


def _active(when: Any, values: Values, config: Map) -> bool:
    return all(
        any(same(values.get(path, _at(config, path)), value) for value in wanted)
        for path, wanted in when
    )


def _at(config: Value, path: KeyPath) -> Value:
    for name in path:
        config = config.get(name) if isinstance(config, Map) else None
    return config


def _put(config: Map, path: KeyPath, value: Value) -> Map:
    if len(path) == 1:
        return Map({**config, path[0]: value})
    inner = config.get(path[0])
    below = _put(inner if isinstance(inner, Map) else Map(), path[1:], value)
    return Map({**config, path[0]: below})


def _drop(config: Map, path: KeyPath) -> Map:
    inner = config.get(path[0])
    if len(path) == 1:
        return Map({name: item for name, item in config.items() if name != path[0]})
    return Map({**config, path[0]: _drop(inner, path[1:])}) if isinstance(inner, Map) else config
