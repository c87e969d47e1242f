"""Interpolations in a value as it is written: the keys that it takes its value from."""

from __future__ import annotations

import re

from mlops_compile.ir.origin import Setting, Settings
from mlops_compile.ir.value import KeyPath

# The innermost interpolations: `${a.b}`, `${.b}`, `${..b}`, `${a[0]}`, `${oc.select:a.b,1}`.
_INNER = re.compile(r"\$\{\s*(?:oc\.select\s*:\s*)?(\.*)([^\s.{}$:,][^{}$:,]*?)\s*(?:,[^{}]*)?\}")
_STEP = re.compile(r"[^.\[\]]+")


def names_in(written: str, path: KeyPath) -> tuple[KeyPath, ...]:
    """The keys that a value at `path` is taken from; dots at the front go up from its map."""
    found = []
    for dots, name in _INNER.findall(written):
        base = path[: len(path) - len(dots)] if dots else ()
        found.append((*base, *_STEP.findall(name)))
    return tuple(dict.fromkeys(found))


def sources_of(path: KeyPath, settings: Settings) -> tuple[tuple[KeyPath, Setting], ...]:
    """The settings that a key's value comes from through interpolations, nearest first."""
    found: dict[KeyPath, Setting] = {}
    waiting = [path]
    while waiting:
        here = waiting.pop(0)
        for made in settings.get(here, ())[-1:]:
            for name in names_in(made.written, here):
                if name in settings and name not in found and name != path:
                    found[name] = settings[name][-1]
                    waiting.append(name)
    return tuple(found.items())
