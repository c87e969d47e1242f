"""Reads composed values as declared groups and collects every problem on the way.

What is faulty becomes UNKNOWN in place of its value, so that the rest can still be judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

from mlops_compile.compiler.instead import (
    VARIANTS,
    as_map,
    instead,
    other_choice,
    plain,
    rather,
    shown,
)
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import Declared, Key, declared, members, named_type, to_value
from mlops_compile.ir.value import KeyPath, Map, Value, dotted
from mlops_compile.steps.preparations import PREPARATIONS

T = TypeVar("T")

_SHARED = 2  # levels of groups
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class _Unknown:
    """Stands for a value whose key is faulty: neither it nor any part of it is known."""

    def __getattr__(self, name: str) -> _Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


UNKNOWN: Any = _Unknown()


def known(*values: Any) -> bool:
    """Whether none of the values stands for a faulty one."""
    return all(value is not UNKNOWN for value in values)


def whole(value: Any) -> bool:
    """Whether a value is known with all that it holds."""
    if dataclasses.is_dataclass(value):
        return all(whole(getattr(value, item.name)) for item in dataclasses.fields(value))
    return all(map(whole, value)) if isinstance(value, tuple) else known(value)


class Reader:
    """Reads values; what is wrong stands in `problems`, and is UNKNOWN in what is returned. Readers
    of one memo read the same objects once."""

    def __init__(self, memo: Memo | None = None) -> None:
        self.problems: list[Problem] = []
        self._memo = memo or Memo()

    def once(self, what: Hashable, made_from: tuple[object, ...], read: Callable[[Reader], T]) -> T:
        """What `read` makes of these objects, and the problems that it finds."""

        def made() -> tuple[T, list[Problem]]:
            inner = Reader(self._memo)
            return read(inner), inner.problems

        result, problems = self._memo.of(what, made_from, made)
        self.problems += problems
        return result

    def complain(
        self, code: str, message: str, where: KeyPath, hint: str = "", *, by_key: bool = False
    ) -> Any:
        self.problems.append(problem(code, message, where, hint, by_key=by_key))
        return UNKNOWN

    def group(self, group_type: type[T], value: Value, where: KeyPath) -> T:
        """The group; UNKNOWN where it is none, or in place of what is wrong in it."""
        if not isinstance(value, Map):
            hint = as_map(value, group_type, where)
            message = f"must be a map, not {shown(value)}"
            return cast(T, self.complain("wrong-type", message, where, hint))
        keys = {item.name: item for item in declared(group_type)}
        meant: set[str] = set()  # keys that are missing because their name is wrong
        for name in value:
            if name not in keys:
                message = "there is no such key"
                hint = instead(name, value[name], where, group_type)
                if not where and name == "experiment":
                    message = "the experiment's keys stand under a key `experiment`"
                self.complain("unknown-key", message, (*where, name), hint)
                meant |= {key for key in keys if hint == f"did you mean {key!r}?"}
                if name in ("_target_", "_group_") or (where and name == where[-1]):
                    meant.update(keys)
        if not where and "default" in value and "defaults" not in value:
            return cast(T, UNKNOWN)  # what else is missing follows from it
        held = {
            name: self._held(item, value, where) if name in value or name not in meant else UNKNOWN
            for name, item in keys.items()
        }
        return group_type(**held)

    def _held(self, item: Declared, value: Map, where: KeyPath) -> Any:
        """A key of a group; those of the upper groups are shared between configs."""
        if len(where) >= _SHARED or item.name not in value:
            return self._key(item, value, where)
        what = ("read", *where, item.name)
        return self.once(what, (value[item.name],), lambda own: own._key(item, value, where))

    def _key(self, item: Declared, value: Map, where: KeyPath) -> Any:
        path = (*where, item.name)
        found = value.get(item.name)
        empty = found is None and type(None) not in members(item.type) and item.required
        if found == "???" or empty:
            return self._missing(item.rules, path)
        if item.name not in value or (found is None and item.rules.variants in VARIANTS):
            return item.default
        if item.rules.variants:
            return self._variant(item.rules, found, path)
        return self._value(item.type, item.rules, found, path)

    def _missing(self, rules: Key, where: KeyPath) -> Any:
        kinds = VARIANTS.get(rules.variants, ())
        key = (*where, "kind") if kinds else where
        example = "|".join(rules.choices or kinds) or "VALUE"
        hint = f"set it in conf/, or on the command line: {dotted(key)}={example}"
        if where in (("data",), ("model",)):
            hint = f"name an option of the group in the defaults list: - {where[0]}: NAME"
        return self.complain("missing-value", f"must be given: {rules.doc}", where, hint)

    def _variant(self, rules: Key, value: Value, where: KeyPath) -> Any:
        match rules.variants:
            case "chain":
                return self.chain(value, where)
            case "chains":
                if not isinstance(value, Map):
                    names = value if isinstance(value, tuple) else ()
                    hint = f"give each a list: {names[0]}: [scale]" if names else ""
                    message = f"must be a map, not {shown(value)}"
                    return self.complain("wrong-type", message, where, hint)
                chains = {name: self.chain(item, (*where, name)) for name, item in value.items()}
                return Map({name: chain for name, chain in chains.items() if known(chain)})
        table = VARIANTS[rules.variants]
        if not isinstance(value, Map):
            hint = f"give it keys: kind: {next(iter(table))}, and the others of that kind"
            if isinstance(value, tuple) and all(isinstance(item, Map) for item in value):
                hint = "its keys stand without dashes"
            return self.complain(
                "wrong-type", f"must be a map, not {shown(value)}", where, hint, by_key=True
            )
        kind = value.get("kind")
        if kind not in table:
            self._shared([declared(entry.spec) for entry in table.values()], value, where)
        if kind is None or kind == "???":
            hint = f"one of {', '.join(table)}"
            return self.complain("missing-value", "must be given", (*where, "kind"), hint)
        if kind not in table:
            message = f"there is no kind {shown(kind)}"
            hint = suggest(str(kind), tuple(table), "kinds")
            return self.complain("unknown-choice", message, (*where, "kind"), hint)
        return self.group(table[str(kind)].spec, value, where)

    def _shared(self, kinds: Sequence[tuple[Declared, ...]], value: Map, where: KeyPath) -> None:
        """Judge the keys that every kind has alike, where the kind is not known."""
        for item in kinds[0]:
            if item.name in value and all(item in kind for kind in kinds):
                self._key(item, value, where)

    def chain(self, value: Value, where: KeyPath) -> Any:
        """A list of preparations, each a name or a map of one name to its options."""
        if value == "auto" or value is None:
            return "auto"
        if not isinstance(value, tuple):
            hint = "for example [{impute: {strategy: median}}, scale]; [] for none"
            if isinstance(value, str) and value in PREPARATIONS:
                hint = f"write [{value}]"
            return self.complain("wrong-type", f"must be a list, not {shown(value)}", where, hint)
        entries = [self._entry(item, (*where, str(n))) for n, item in enumerate(value)]
        return tuple(entries) if known(*entries) else UNKNOWN

    def _entry(self, value: Value, where: KeyPath) -> Any:
        if isinstance(value, str):
            value = Map({value: Map()})
        if not isinstance(value, Map) or len(value) != 1:
            hint = "for example scale, or {impute: {strategy: median}}"
            if isinstance(value, Map) and len(value) > 1:
                hint = f"give each a dash of its own: {', '.join(value)}"
            return self.complain("wrong-type", "must name one preparation", where, hint)
        ((name, options),) = value.items()
        if name not in PREPARATIONS:
            hint = suggest(name, tuple(PREPARATIONS), "preparations")
            if (first := name.partition(" ")[0]) in PREPARATIONS and "{" in name:
                hint = f"a key needs a colon behind it: {first}: {{...}}"
            return self.complain("unknown-choice", f"there is no preparation {name!r}", where, hint)
        before = len(self.problems)
        spec = self.group(PREPARATIONS[name].spec, options or Map(), (*where, name))
        if len(self.problems) > before:
            return UNKNOWN
        return Map({name: to_value(spec, defaults=False)})

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
        is_text = "the text " if isinstance(value, str) and str not in options else ""
        message = f"must be {wanted}, not {is_text}{shown(value)}"
        if isinstance(value, bool | int | float) and str in options:
            read = shown(value) if isinstance(value, bool) else f"the number {shown(value)}"
            message = f"must be {wanted}, and YAML reads this as {read}"
        tip = rather(value, options, where)
        nested = isinstance(value, tuple | Map)
        return self.complain("wrong-type", message, where, tip, by_key=nested)

    def _as(self, hint: Any, rules: Key, value: Value, where: KeyPath) -> Any:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if value is None:
                value = Map()
            if not isinstance(value, Map):
                return _UNFIT
            return self.group(hint, value, where)
        if (inner := named_type(hint)) is not None:
            if not isinstance(value, Map):
                return () if value is None else _UNFIT
            return tuple(
                (n, self._value(inner, Key(doc=""), v, (*where, n))) for n, v in value.items()
            )
        if getattr(hint, "__origin__", None) is tuple:
            if not isinstance(value, tuple):
                return _UNFIT
            inner = hint.__args__[0]
            items = [self._value(inner, rules, v, (*where, str(n))) for n, v in enumerate(value)]
            return tuple(items) if known(*items) else UNKNOWN
        if hint is Map:
            return Map() if value is None else value if isinstance(value, Map) else _UNFIT
        return self._scalar(hint, rules, value, where)

    def _scalar(self, hint: Any, rules: Key, value: Value, where: KeyPath) -> Any:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not hint:
            return _UNFIT
        if rules.filled and isinstance(value, str) and not value.strip():
            return self.complain("missing-value", f"must not be empty: {rules.doc}", where)
        if rules.choices and value not in rules.choices and value not in rules.more:
            choices = tuple(dict.fromkeys((*rules.choices, *rules.more)))
            tip = other_choice(str(value), choices)
            message = f"{shown(value)} is not one of {', '.join(choices)}"
            return self.complain("unknown-choice", message, where, tip)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if rules.low is not None and (
                value < rules.low or (rules.low_open and value == rules.low)
            ):
                sign = ">" if rules.low_open else ">="
                return self.complain(
                    "out-of-range", f"must be {sign} {rules.low}, not {plain(value)}", where
                )
            if rules.high is not None and (
                value > rules.high or (rules.high_open and value == rules.high)
            ):
                sign = "<" if rules.high_open else "<="
                share = rules.high == 1 and 2 <= value <= 100
                tip = f"it is a share: {value / 100:g} for {value:g} %" if share else ""
                message = f"must be {sign} {rules.high}, not {plain(value)}"
                return self.complain("out-of-range", message, where, tip)
        return value


_UNFIT = object()


def _name(option: Any) -> str:
    if option in _NAMES:
        return _NAMES[option]
    if getattr(option, "__origin__", None) is tuple and named_type(option) is None:
        return "a list"
    return "a map"
