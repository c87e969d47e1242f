"""Upgrade: a config of an older format is read as one of today's, with a note of each change."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlops_compile.ir.config import Config
from mlops_compile.ir.places import at, put, without
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import KeyPath, dotted


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What changed from one format of the config to the next: keys (old path, new path)."""

    renamed: tuple[tuple[KeyPath, KeyPath], ...] = ()


# From format 1 to 2, from 2 to 3, and so on: nothing has changed yet.
UPGRADES: tuple[Upgrade, ...] = ()


def upgrade(config: Config, upgrades: tuple[Upgrade, ...] = UPGRADES) -> Config:
    """The config in the newest format; its `notes` say what to change in its files.

    A config that names no format has the first. CompileError for a format that is newer.
    """
    stated = config.values.get("format", 1)
    newest = 1 + len(upgrades)
    if type(stated) is not int or stated < 1:
        return config  # the check says what is wrong with it
    if stated > newest:
        message = f"the config has format {stated}, and this version knows up to {newest}"
        hint = "install the version of mlops_compile that it was written for"
        raise CompileError([problem("newer-config", message, ("format",), hint)])
    values, notes, moved = config.values, list[Problem](), list[tuple[KeyPath, KeyPath]]()
    for number, change in enumerate(upgrades[stated - 1 :], stated + 1):
        for old, new in change.renamed:
            if (found := at(values, old)) is None:
                continue
            message = f"is called {dotted(new)} since format {number}"
            hint = f"rename it, and set format: {newest} when all is renamed"
            notes.append(problem("older-config", message, old, hint))
            moved.append((old, new))
            if at(values, new) is None:
                values = put(without(values, old), new, found[0])
            else:
                values = without(values, old)
    if stated < newest and "format" in values:
        values = put(values, ("format",), newest)
    composition = replace(config.composition, renamed=tuple(moved))
    return replace(config, values=values, composition=composition, notes=tuple(notes))
