"""A search, declared: the keys under `search`, and the space of values that its trials take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from mlops_compile.ir.schema import key
from mlops_compile.ir.value import KeyPath, Map, Value, dotted, same
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters

KINDS = ("none", "grid", "random", "sobol", "tpe")
FAMILY: KeyPath = ("model", "family")
PARAMS: KeyPath = ("model", "params")
# Where a search may vary the config: a parameter of the family, its whole, or a list of
# preparations.
VARIED: tuple[KeyPath, ...] = (
    FAMILY,
    (*PARAMS, "*"),
    ("model", "class_weight"),
    *(("prepare", name) for name in ("numeric", "boolean", "categorical", "datetime")),
    ("prepare", "columns", "*"),
)
BOUNDS = ("low", "high", "step", "log", "when")
TRIED = ("choices", "when")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`search`: trials of other values, of which the best makes the model."""

    kind: str = key("none, grid, random, sobol or tpe", default="none", choices=KINDS)
    trials: int | None = key(
        "how many trials there are; a grid has as many as it has points", default=None, low=1
    )
    batch: int = key(
        "tpe: trials that are proposed at once, from all those before them", default=8, low=1
    )
    metric: str | None = key(
        "the metric to judge trials by; else evaluate.primary", default=None, filled=True
    )
    direction: str | None = key(
        "maximize or minimize; else as the metric has it",
        default=None,
        choices=("maximize", "minimize"),
    )
    cv: Any = key(
        "folds that each trial is trained and judged on, as evaluate.cross_validation; null: the"
        " train part, judged on the validation part",
        default=None,
        variants="folds",
    )
    refit: str = key(
        "the rows that the winner is trained on: train, or train_and_validation",
        default="train",
        choices=("train", "train_and_validation"),
    )
    space: Map = key("what trials vary, under the config's own keys", default=Map())


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
            place = min(int(share * self.count), self.count - 1)
            return self.number(self.low + place * self.step)
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
        step = self.step if self.step is not None else 1
        return tuple(self.number(self.low + place * step) for place in range(self.count))

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
class Fault:
    """What is wrong with a space: where below it, why, and what to write."""

    where: KeyPath
    message: str
    hint: str = ""
    code: str = "wrong-value"


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


def space_of(space: Map, family: str) -> tuple[Space, tuple[Fault, ...]]:
    """The space that a config states, beside what is wrong with it; `family` is the config's own.

    A faulty domain is left out.
    """
    reading = _Reading(family)
    reading.read(space, ())
    return reading.space(), tuple(reading.faults)


def trial_values(config: Map, space: Space, values: Values) -> Map:
    """The config of a trial: that of the search, with these values; without the search itself.

    A family that is not the config's own has no parameters but those of the space.
    """
    made: Map = config
    fixed = [item for item in space.fixed if _active(item.when, values, config)]
    if FAMILY in values and values[FAMILY] != _at(config, FAMILY):
        made = _put(made, PARAMS, Map())
    for path, value in (*((item.path, item.value) for item in fixed), *values.items()):
        made = _put(made, path, value)
    search = config.get("search", Map())
    assert isinstance(search, Map)
    kept = {name: item for name, item in search.items() if name == "refit"}
    return Map({**made, "search": Map(kept)})


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


class _Reading:
    """Reads a space: maps until a domain, which has `choices` or bounds."""

    def __init__(self, family: str) -> None:
        self._own = family
        self.faults: list[Fault] = []
        self.domains: list[Domain] = []
        self.fixed: list[Fixed] = []

    def fault(
        self, where: KeyPath, message: str, hint: str = "", code: str = "wrong-value"
    ) -> None:
        self.faults.append(Fault(where=where, message=message, hint=hint, code=code))

    def space(self) -> Space:
        """The domains in an order in which each stands behind those that it depends on."""
        left = sorted(self.domains, key=lambda item: (item.path, item.where))
        done: list[Domain] = []
        paths = {domain.path for domain in left}
        while left:
            known = {domain.path for domain in done}
            ready = [d for d in left if all(p in known or p not in paths for p, _ in d.when)]
            if not ready:
                for domain in left:
                    message = "depends on itself, over what stands under `when`"
                    self.fault((*domain.where, "when"), message, "break the circle")
                break
            done += ready
            left = [domain for domain in left if domain not in ready]
        return Space(domains=tuple(done), fixed=tuple(self.fixed))

    def read(self, value: Value, path: KeyPath) -> None:
        if isinstance(value, Map) and not _is_domain(value):
            if path and not _leads(path):
                self._no_key(path)
                return
            for name, item in value.items():
                self.read(item, (*path, name))
        elif not _varies(path):
            self._no_key(path)
        elif not isinstance(value, Map):
            hint = "write {low: 1, high: 10}, or {choices: [a, b]}"
            self.fault(path, "is a value, and a space says which values are tried", hint)
        elif path == FAMILY:
            self._families(value)
        else:
            self._domain(value, path, path, ())

    def _no_key(self, path: KeyPath) -> None:
        hint = "parameters (model.params.NAME), model.family, model.class_weight, and lists of"
        hint += " preparations (prepare.numeric, prepare.columns.NAME) may be searched"
        self.fault(path, "a search cannot vary this key", hint, "unknown-key")

    def _families(self, value: Map) -> None:
        choices = value.get("choices")
        names = tuple(choices) if isinstance(choices, Map | tuple) else ()
        if not isinstance(choices, Map | tuple) or len(names) < 1 or set(value) != {"choices"}:
            hint = "write {choices: [lightgbm, random_forest]}"
            self.fault(FAMILY, "must name the families to choose from", hint)
            return
        for place, name in enumerate(names):
            if not isinstance(name, str) or name not in FAMILIES:
                at = name if isinstance(choices, Map) else str(place)
                hint = f"one of {', '.join(FAMILIES)}"
                self.fault((*FAMILY, "choices", str(at)), "there is no such family", hint,
                           "unknown-choice")  # fmt: skip
                return
        known = tuple(str(name) for name in names)
        self.domains.append(Domain(path=FAMILY, held=Choices(values=known), where=FAMILY))
        for name, own in choices.items() if isinstance(choices, Map) else ():
            self._family(name, own)

    def _family(self, name: str, own: Value) -> None:
        where = (*FAMILY, "choices", name)
        if own is None:
            return
        params = own.get("params", Map()) if isinstance(own, Map) else None
        if not isinstance(own, Map) or not isinstance(params, Map) or set(own) - {"params"}:
            hint = f"write {name}: {{params: {{...}}}}"
            self.fault(where, "a family has params, and nothing else here", hint)
            return
        when = ((FAMILY, (name,)),)
        for param, value in params.items():
            path, place = (*PARAMS, param), (*where, "params", param)
            if isinstance(value, Map) and _is_domain(value):
                self._domain(value, path, place, when, name)
            else:
                self.fixed.append(Fixed(path=path, value=value, when=when))

    def _domain(
        self, value: Map, path: KeyPath, where: KeyPath, when: Any, family: str = ""
    ) -> None:
        known = TRIED if "choices" in value else BOUNDS
        for name in sorted(set(value) - {*known}):
            self.fault((*where, name), "there is no such key", f"one of {', '.join(known)}",
                       "unknown-key")  # fmt: skip
        before = len(self.faults)
        when = (*when, *self._when(value.get("when"), (*where, "when")))
        held: Range | Choices | None
        if "choices" in value:
            held = self._choices(value, where)
        else:
            held = self._range(value, where, self._integer(path, value, family or self._own))
        if held is not None and len(self.faults) == before:
            self.domains.append(Domain(path=path, held=held, where=where, when=when))

    def _when(self, value: Value, where: KeyPath) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, Map) or not len(value):
            self.fault(where, "must be a map", "for example {model.params.boosting: dart}")
            return ()
        found = []
        for name, item in value.items():
            path = tuple(name.split("."))
            if not _varies(path):
                self.fault((*where, name), "is no key that a search varies",
                           "for example model.params.boosting")  # fmt: skip
            found.append((path, item if isinstance(item, tuple) else (item,)))
        return tuple(found)

    def _choices(self, value: Map, where: KeyPath) -> Choices | None:
        choices = value["choices"]
        if not isinstance(choices, tuple) or not choices:
            self.fault((*where, "choices"), "must be a list of values", "for example [1, 2]")
            return None
        for place, item in enumerate(choices):
            if any(same(item, other) for other in choices[:place]):
                self.fault((*where, "choices", str(place)), "is listed twice", "leave one out")
        return Choices(values=choices)

    def _integer(self, path: KeyPath, value: Map, family: str) -> bool:
        """Whether a range is of whole numbers: as the parameter's type, or as its bounds, where the
        parameter takes both."""
        types: set[str] = set()
        for item in parameters(family) if path[:2] == PARAMS and family in FAMILIES else ():
            if path[2] in (item.name, *item.aliases):
                types = {*item.types} & {"int", "float"}
        if len(types) == 1:
            return types == {"int"}
        whole = [value.get(name) for name in ("low", "high", "step") if value.get(name) is not None]
        return all(isinstance(number, int) for number in whole)

    def _range(self, value: Map, where: KeyPath, integer: bool) -> Range | None:
        numbers: dict[str, float] = {}
        for name in ("low", "high", "step"):
            item = value.get(name)
            if item is None and name == "step":
                continue
            if item is None:
                self.fault(where, f"must have {name}", "for example {low: 1, high: 10}",
                           "missing-value")  # fmt: skip
            elif isinstance(item, bool) or not isinstance(item, int | float):
                self.fault((*where, name), "must be a number", code="wrong-type")
            elif integer and item != int(item):
                self.fault((*where, name), "must be a whole number, as the parameter is",
                           f"write {round(item)}")  # fmt: skip
            else:
                numbers[name] = item
        log = value.get("log", False)
        if not isinstance(log, bool):
            self.fault((*where, "log"), "must be true or false", code="wrong-type")
        if len(numbers) < 2 or "low" not in numbers or "high" not in numbers:
            return None
        low, high, step = numbers["low"], numbers["high"], numbers.get("step")
        if low >= high:
            self.fault((*where, "high"), f"must be above low, {low:g}", code="out-of-range")
        if log is True and low <= 0:
            self.fault((*where, "low"), f"must be above 0 with log, not {low:g}",
                       "0 has no logarithm", "out-of-range")  # fmt: skip
        if log is True and step is not None:
            self.fault((*where, "step"), "log has no steps", "keep one of them")
        if step is not None and step <= 0:
            self.fault((*where, "step"), f"must be above 0, not {step:g}", code="out-of-range")
        if step is not None and step > high - low > 0:
            self.fault((*where, "step"), f"is wider than the range, {high - low:g}",
                       code="out-of-range")  # fmt: skip
        return Range(low=low, high=high, integer=integer, step=step, log=log is True)


def _is_domain(value: Map) -> bool:
    return "choices" in value or bool({"low", "high"} & set(value))


def _varies(path: KeyPath) -> bool:
    return any(_fits(path, pattern) for pattern in VARIED)


def _leads(path: KeyPath) -> bool:
    """Whether keys that may vary lie below a path."""
    return any(len(path) < len(p) and _fits(path, p[: len(path)]) for p in VARIED)


def _fits(path: KeyPath, pattern: KeyPath) -> bool:
    return len(path) == len(pattern) and all(
        item in (name, "*") for name, item in zip(path, pattern, strict=True)
    )


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
