"""Reads composed values as declared groups and collects every problem on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import Declared, Key, declared, members, named_type, to_value
from mlops_compile.ir.value import KeyPath, Map, Value, dotted, thaw
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.splits import SPLITS

T = TypeVar("T")

VARIANTS: Mapping[str, Mapping[str, Any]] = {"sources": SOURCES, "splits": SPLITS}
_WRONG = object()
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Reader:
    """Reads values; what is wrong stands in `problems`, and what it returns is then partial."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def complain(self, code: str, message: str, where: KeyPath, hint: str = "") -> Any:
        self.problems.append(problem(code, message, where, hint))
        return _WRONG

    def group(self, group_type: type[T], value: Value, where: KeyPath) -> T | None:
        """The group, or None if anything in it is wrong."""
        if not isinstance(value, Map):
            self.complain("wrong-type", f"must be a map, not {shown(value)}", where)
            return None
        keys = {item.name: item for item in declared(group_type)}
        before = len(self.problems)
        for name in value:
            if name not in keys:
                hint = suggest(name, tuple(keys))
                self.complain("unknown-key", "there is no such key", (*where, name), hint)
        held = {name: self._key(item, value, where) for name, item in keys.items()}
        if len(self.problems) > before:
            return None
        return group_type(**held)

    def _key(self, item: Declared, value: Map, where: KeyPath) -> Any:
        path = (*where, item.name)
        found = value.get(item.name)
        if found == "???" or (item.name not in value and item.required):
            return self._missing(item.rules, path)
        if item.name not in value:
            return item.default
        if item.rules.variants:
            return self._variant(item.rules, found, path)
        return self._value(item.type, item.rules, found, path)

    def _missing(self, rules: Key, where: KeyPath) -> Any:
        kinds = VARIANTS.get(rules.variants, ())
        key = (*where, "kind") if kinds else where
        example = "|".join(rules.choices or kinds) or "VALUE"
        hint = f"{dotted(key)}={example} on the command line, or {where[-1]} in a file of conf/"
        return self.complain("missing-value", f"must be given: {rules.doc}", where, hint)

    def _variant(self, rules: Key, value: Value, where: KeyPath) -> Any:
        match rules.variants:
            case "chain":
                return self.chain(value, where)
            case "chains":
                if not isinstance(value, Map):
                    return self.complain("wrong-type", f"must be a map, not {shown(value)}", where)
                chains = {name: self.chain(item, (*where, name)) for name, item in value.items()}
                return _WRONG if _WRONG in chains.values() else Map(chains)
        table = VARIANTS[rules.variants]
        if not isinstance(value, Map):
            return self.complain("wrong-type", f"must be a map, not {shown(value)}", where)
        kind = value.get("kind")
        if kind is None or kind == "???":
            hint = f"one of {', '.join(table)}"
            return self.complain("missing-value", "must be given", (*where, "kind"), hint)
        if kind not in table:
            message = f"there is no kind {shown(kind)}"
            hint = suggest(str(kind), tuple(table))
            return self.complain("unknown-choice", message, (*where, "kind"), hint)
        spec = self.group(table[str(kind)].spec, value, where)
        return _WRONG if spec is None else spec

    def chain(self, value: Value, where: KeyPath) -> Any:
        """A list of preparations, each a name or a map of one name to its options."""
        if value == "auto" or value is None:
            return "auto"
        if not isinstance(value, tuple):
            hint = "for example [{impute: {strategy: median}}, scale]; [] for none"
            return self.complain("wrong-type", f"must be a list, not {shown(value)}", where, hint)
        entries = [self._entry(item, (*where, str(n))) for n, item in enumerate(value)]
        return _WRONG if _WRONG in entries else tuple(entries)

    def _entry(self, value: Value, where: KeyPath) -> Any:
        if isinstance(value, str):
            value = Map({value: Map()})
        if not isinstance(value, Map) or len(value) != 1:
            hint = "for example scale, or {impute: {strategy: median}}"
            return self.complain("wrong-type", "must name one preparation", where, hint)
        ((name, options),) = value.items()
        if name not in PREPARATIONS:
            hint = suggest(name, tuple(PREPARATIONS))
            return self.complain("unknown-choice", f"there is no preparation {name!r}", where, hint)
        spec = self.group(PREPARATIONS[name].spec, options or Map(), (*where, name))
        return _WRONG if spec is None else Map({name: to_value(spec, defaults=False)})

    def _value(self, hint: Any, rules: Key, value: Value, where: KeyPath) -> Any:
        if value == "???":
            return self._missing(rules, where)
        options = members(hint)
        if value is None and type(None) in options:
            return None
        for option in options:
            done = self._as(option, rules, value, where)
            if done is not _UNFIT:
                return done
        wanted = " or ".join(_name(option) for option in options if option is not type(None))
        quote = isinstance(value, bool | int | float) and str in options
        tip = f"quote it: '{shown(value)}'" if quote else ""
        return self.complain("wrong-type", f"must be {wanted}, not {shown(value)}", where, tip)

    def _as(self, hint: Any, rules: Key, value: Value, where: KeyPath) -> Any:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if value is None:
                value = Map()
            if not isinstance(value, Map):
                return _UNFIT
            spec = self.group(hint, value, where)
            return _WRONG if spec is None else spec
        if (inner := named_type(hint)) is not None:
            if not isinstance(value, Map):
                return () if value is None else _UNFIT
            read = [(n, self._value(inner, Key(doc=""), v, (*where, n))) for n, v in value.items()]
            return _WRONG if any(item is _WRONG for _, item in read) else tuple(read)
        if getattr(hint, "__origin__", None) is tuple:
            if not isinstance(value, tuple):
                return _UNFIT
            inner = hint.__args__[0]
            items = [self._value(inner, rules, v, (*where, str(n))) for n, v in enumerate(value)]
            return _WRONG if any(item is _WRONG for item in items) else tuple(items)
        if hint is Map:
            return Map() if value is None else value if isinstance(value, Map) else _UNFIT
        return self._scalar(hint, rules, value, where)

    def _scalar(self, hint: Any, rules: Key, value: Value, where: KeyPath) -> Any:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not hint:
            return _UNFIT
        if rules.choices and value not in rules.choices:
            tip = suggest(str(value), rules.choices)
            message = f"{shown(value)} is not one of {', '.join(rules.choices)}"
            return self.complain("unknown-choice", message, where, tip)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if rules.low is not None and (
                value < rules.low or (rules.low_open and value == rules.low)
            ):
                sign = ">" if rules.low_open else ">="
                return self.complain(
                    "out-of-range", f"must be {sign} {rules.low}, not {value}", where
                )
            if rules.high is not None and (
                value > rules.high or (rules.high_open and value == rules.high)
            ):
                sign = "<" if rules.high_open else "<="
                return self.complain(
                    "out-of-range", f"must be {sign} {rules.high}, not {value}", where
                )
        return value


_UNFIT = object()


def shown(value: Value) -> str:
    """A value in a message: short, and as it would be written in YAML."""
    match value:
        case Map():
            return "a map"
        case tuple():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 40 else value[:37] + "...")
        case _:
            return str(thaw(value))


def suggest(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an unknown name: the nearest known one, or all of them."""
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    listed = ", ".join(dotted((item,)) for item in known[:20])
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"known: {listed}{more}" if known else ""


def _name(option: Any) -> str:
    if option in _NAMES:
        return _NAMES[option]
    if getattr(option, "__origin__", None) is tuple and named_type(option) is None:
        return "a list"
    return "a map"
