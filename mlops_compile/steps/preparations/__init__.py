"""Preparations: how columns become the features of a model; one module each."""

from __future__ import annotations

from mlops_compile.steps.preparations.kind import Preparation
from mlops_compile.steps.registry import Pieces

_HERE = "mlops_compile.steps.preparations"
PREPARATIONS: Pieces[Preparation] = Pieces(
    "preparation",
    ("bins", f"{_HERE}.bins:PREPARATION"),
    ("category", f"{_HERE}.category:PREPARATION"),
    ("clip", f"{_HERE}.clip:PREPARATION"),
    ("cycles", f"{_HERE}.cycles:PREPARATION"),
    ("date_parts", f"{_HERE}.date_parts:PREPARATION"),
    ("drop", f"{_HERE}.drop:PREPARATION"),
    ("frequency", f"{_HERE}.frequency:PREPARATION"),
    ("group_rare", f"{_HERE}.group_rare:PREPARATION"),
    ("hashed", f"{_HERE}.hashed:PREPARATION"),
    ("impute", f"{_HERE}.impute:PREPARATION"),
    ("is_in", f"{_HERE}.is_in:PREPARATION"),
    ("log", f"{_HERE}.log:PREPARATION"),
    ("one_hot", f"{_HERE}.one_hot:PREPARATION"),
    ("ordinal", f"{_HERE}.ordinal:PREPARATION"),
    ("scale", f"{_HERE}.scale:PREPARATION"),
    ("since", f"{_HERE}.since:PREPARATION"),
    ("target_encoding", f"{_HERE}.target_encoding:PREPARATION"),
    ("text_length", f"{_HERE}.text_length:PREPARATION"),
)
