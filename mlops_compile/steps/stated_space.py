"""Reads the space that a config states: where a search may vary it, and by which values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.value import KeyPath, Map, Value, same
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from mlops_compile.steps.spaces import FAMILY, PARAMS, Choices, Domain, Fixed, Range, Space

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
class Fault:
    """What is wrong with a space: where below it, why, and what to write."""

    where: KeyPath
    message: str
    hint: str = ""
    code: str = "wrong-value"


def space_of(space: Map, family: str) -> tuple[Space, tuple[Fault, ...]]:
    """The space that a config states, beside what is wrong with it; `family` is the config's own.

    A faulty domain is left out.
    """
    reading = _Reading(family)
    reading.read(space, ())
    return reading.space(), tuple(reading.faults)


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
