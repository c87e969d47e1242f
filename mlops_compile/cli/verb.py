"""What a verb declares."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verb's call: its own options, what is left for Hydra, and where answers go."""

    options: Namespace
    rest: tuple[str, ...]
    out: TextIO
    err: TextIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb. `arguments` declares its own options; `run` in the module of its name does it and
    gives the exit code.

    `composes`: Hydra's flags and overrides may follow. `values`: what an argument (by its `dest`)
    may be given, for shells to offer.
    """

    name: str
    summary: str
    arguments: Callable[[ArgumentParser], None]
    composes: bool = False
    values: Mapping[str, Callable[[], Sequence[str]]] = field(default_factory=dict)
