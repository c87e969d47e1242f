"""What a verb declares."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
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
    """A verb. `arguments` declares its own options; `run` does it and gives the exit code.

    `composes`: what else stands on the command line is for Hydra.
    """

    name: str
    summary: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Call], int]
    composes: bool
