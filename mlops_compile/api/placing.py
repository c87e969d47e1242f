"""Places: where the causes of a change were set, in files of the config, overrides, or code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from mlops_compile.api.operand import Operand
from mlops_compile.compiler.compose.interpolations import names_in
from mlops_compile.ir.change import Cause, PointChange, StepChange
from mlops_compile.ir.origin import Origin, Settings
from mlops_compile.ir.value import KeyPath, dotted


class Places:
    """Finds the place of each cause once: in the first of the points that have it."""

    def __init__(
        self,
        old: Operand,
        new: Operand,
        steps: Sequence[StepChange],
        points: Sequence[PointChange] = (),
    ) -> None:
        self._old, self._new = old, new
        self._points: dict[Cause, PointChange] = {}
        for point in points:
            for cause in point.causes:
                self._points.setdefault(cause, point)
        self._changed = {cause.path for step in steps for cause in step.causes}
        self._known: dict[Cause, Cause] = {}

    def located(self, cause: Cause) -> Cause:
        """A cause with the place that set its new value, or of what was taken away the old one."""
        if cause not in self._known:
            self._known[cause] = replace(cause, origin=next(self._origins(cause), None))
        return self._known[cause]

    def _origins(self, cause: Cause) -> Iterator[Origin]:
        point = self._points.get(cause)
        new, old = 0, 0
        if point is not None:
            yield from _overridden(cause.path, point)
            new, was = point.new or 0, point.old if point.old is not None else point.like
            old = was or 0
        if cause.path[0] == "code":
            sides = (self._old,) if cause.sort == "removed" else (self._new, self._old)
            for operand in sides:
                yield from _defined(cause.path, operand)
            return
        if cause.sort == "removed":
            yield from _taken_away(cause.path, self._new.settings(new))
        else:
            yield from self._set(cause.path, self._new.settings(new))
        yield from self._set(cause.path, self._old.settings(old))

    def _set(self, path: KeyPath, settings: Settings) -> Iterator[Origin]:
        """The place that set a key's value, or else the nearest key around it, below a group."""
        if settings.get(path):
            yield settings[self._source(path, settings)][-1].value
        for depth in range(len(path) - 1, 1, -1):
            if made := settings.get(path[:depth]):
                yield made[-1].key

    def _source(self, path: KeyPath, settings: Settings) -> KeyPath:
        """The key that a key's value comes from: itself, or one that differs too, where the value
        is taken from that alone."""
        passed = [path]
        while True:
            names = names_in(settings[passed[-1]][-1].written, passed[-1])
            if len(names) != 1 or names[0] in passed or names[0] not in self._changed:
                return passed[-1]
            if not settings.get(names[0]):
                return passed[-1]
            passed.append(names[0])


def _overridden(path: KeyPath, point: PointChange) -> Iterator[Origin]:
    """The override of a point that sets a key."""
    key = dotted(path)
    for text in point.overrides:
        if text.partition("=")[0].lstrip("+") == key:
            yield Origin.of_override(text)


def _taken_away(path: KeyPath, settings: Settings) -> Iterator[Origin]:
    """The override that took a key, or what holds it, away."""
    for depth in range(len(path), 0, -1):
        made = settings.get(path[:depth])
        if made and made[-1].removed:
            yield made[-1].value


def _defined(path: KeyPath, operand: Operand) -> Iterator[Origin]:
    """The definition of a function of the user's, in the files of an operand."""
    *parts, function = path[1:]
    for root in operand.lock.code.roots:
        module = PurePosixPath(root, *parts)
        for file in (module.with_name(f"{module.name}.py"), module / "__init__.py"):
            if (text := (operand.texts or {}).get(str(file))) is not None:
                yield Origin(source=f"{operand.at}{file}", line=_line(function, text))


def _line(function: str, text: bytes) -> int:
    """The line at which a module defines a function; 0 where it does not say so plainly."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return 0
    found = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return next((node.lineno for node in found), 0)
