"""Preparations: how columns become the features of a model; one module each."""

from __future__ import annotations

from mlops_compile.steps.preparations.kind import Preparation
from mlops_compile.steps.registry import Pieces

_HERE = "mlops_compile.steps.preparations"
PREPARATIONS: Pieces[Preparation] = Pieces(
    "preparation",
    ("category", f"{_HERE}.category:PREPARATION"),
    ("date_parts", f"{_HERE}.date_parts:PREPARATION"),
    ("impute", f"{_HERE}.impute:PREPARATION"),
    ("one_hot", f"{_HERE}.one_hot:PREPARATION"),
    ("ordinal", f"{_HERE}.ordinal:PREPARATION"),
    ("scale", f"{_HERE}.scale:PREPARATION"),
)
