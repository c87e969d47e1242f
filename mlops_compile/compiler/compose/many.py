"""Overrides that ask for many configs, for none, or for more experiments than one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override

from mlops_compile.compiler.compose.overrides import parsed
from mlops_compile.compiler.compose.search_path import options_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem

# An override that chooses an experiment.
EXPERIMENT = re.compile(r"\+{0,2}experiment=")


def sweeps(composition: Composition) -> Iterator[Problem]:
    """Overrides that ask for many configs, for where one is composed."""
    options = options_of(composition.search_path)
    for text in composition.overrides:
        override = parsed(text)
        if override is not None and override.is_sweep_override():
            message = "asks for many configs, and one is composed here"
            begin = len(text.partition("=")[0]) + 1
            hint = _one_of(override, text, options)
            yield _problem("override", message, hint, text, begin)


def no_points(sweep: Any) -> str:
    """Why a range to sweep over has no points; empty if it has."""
    if sweep.step == 0:
        return "a range with a step of 0 goes nowhere"
    return "" if any(True for _ in sweep.range()) else "there is nothing in this range"


def two_experiments(texts: tuple[str, ...]) -> Iterator[Problem]:
    """That experiments are chosen twice: Hydra would take the last one, or refuse to compose."""
    chosen = [text for text in texts if EXPERIMENT.match(text) and parsed(text) is not None]
    if len(chosen) < 2 or len(set(chosen)) == 1:
        return
    values = dict.fromkeys(text.partition("=")[2].strip("[]") for text in chosen)
    hint = f"keep one: experiment={next(iter(values))}"
    if len(values) > 1:
        listed = ",".join(values)
        hint = f"to use all at once: {shell(f'experiment=[{listed}]')}"
        hint += f"\nto run each: mlops-compile run -m {shlex.quote(f'experiment={listed}')}"
    message = "an experiment is chosen already"
    yield _problem("compose", message, hint, chosen[1], 0)


def _one_of(override: Override, text: str, options: Mapping[str, tuple[str, ...]]) -> str:
    """What to write in place of a sweep."""
    key, _, value = text.partition("=")
    hint = f"to run each: mlops-compile run -m {shlex.quote(text)}"
    if isinstance(override.value(), ChoiceSweep) and not value.startswith("choice"):
        meant = shell(f"{key}=[{value}]")
        if key == "experiment":
            hint += f"\nto use all at once: {meant}"
        elif key not in options:
            quoted = f"{key}='{value}'"
            hint += f"\nfor a list: {meant}; for one text: {shell(quoted)}"
    return hint


def shell(text: str) -> str:
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)


def _problem(code: str, message: str, hint: str, text: str, begin: int) -> Problem:
    origin = Origin.of_override(text, begin, len(text))
    return Problem(code=code, message=message, hint=hint, origin=origin)
