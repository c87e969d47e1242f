"""The composed config: resolved plain values, before they are checked."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.problem import Problem
from mlops_compile.ir.value import KeyPath, Map

CONFIG_NAME = "config"
LOCK_FILE = "plan.lock.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What a config was composed from: enough to compose it again and to find origins.

    `search_path` holds URLs (`file:///...`, `pkg://...`); `renamed` are keys of an older format
    (old path, new path).
    """

    config_name: str
    search_path: tuple[str, ...]
    overrides: tuple[str, ...]
    renamed: tuple[tuple[KeyPath, KeyPath], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Values without `hydra`, interpolations resolved; missing values are the text `???`. `notes`
    say what of it is of an older format."""

    values: Map
    composition: Composition
    notes: tuple[Problem, ...] = ()
