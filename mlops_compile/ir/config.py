"""The composed config: resolved plain values, before they are checked."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.value import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What a config was composed from: enough to compose it again and to find origins."""

    config_name: str
    search_path: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Values without `hydra`, interpolations resolved; missing values are the text `???`."""

    values: Map
    composition: Composition
