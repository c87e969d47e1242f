"""Loads a bundle's own code: what reads a record, its scorers, and what makes an answer."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from mlops_compile.emit.differing import refusal
from mlops_compile.emit.modules import module_of
from mlops_compile.ir.serving import ServingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The bundle's own reader of a record, its scorers, the one that serves first, what makes an
    answer of scores, and the module that holds these."""

    decoder: msgspec.json.Decoder[Any]
    scorers: tuple[Any, ...]
    answer: Callable[[list[float]], dict[str, Any]]
    module: ModuleType


def load(spec: ServingSpec, bundle: Path, scratch: Path) -> Loaded:
    """The bundle's code, with the scorer in C first, where there is one. What is compiled is kept
    in `scratch`."""
    try:
        record = module_of(bundle, "schema").Record
        module = module_of(bundle, "scorer")
        if spec.trees is None:
            scorers = (module.Scorer(bundle),)
        else:
            scorers = (*_in_c(module, bundle, scratch), module.Scorer(bundle, False))
    except Exception as error:
        raise refusal("the generated service cannot be loaded", error) from error
    decoder = msgspec.json.Decoder(record)
    return Loaded(decoder=decoder, scorers=scorers, answer=module.answer, module=module)


# What any compiler takes that can compile scorers.
_PROBE = b"#include <math.h>\ndouble of(double x) { return exp(x); }\n"


def _in_c(module: ModuleType, bundle: Path, scratch: Path) -> tuple[Any, ...]:
    """The scorer in C; nothing where no compiler works. What else stops it is raised."""
    said, place = io.StringIO(), scratch / "mlops_compile" / "scorers"  # as in a cache's directory
    with contextlib.redirect_stderr(said):
        scorer = module.Scorer(bundle, True, [place])
    if scorer.language == "C":
        return (scorer,)
    try:
        module.build(module.compiler(), _PROBE, "probe", place)
    except module.Uncompiled:
        return ()
    raise ValueError(said.getvalue().strip())
