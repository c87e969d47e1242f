"""Model families; one module each."""

from __future__ import annotations

from mlops_compile.steps.families.kind import Family
from mlops_compile.steps.registry import Pieces

_HERE = "mlops_compile.steps.families"
FAMILIES: Pieces[Family] = Pieces(
    "family",
    ("lightgbm", f"{_HERE}.lightgbm:FAMILY"),
    ("logistic_regression", f"{_HERE}.logistic_regression:FAMILY"),
    ("ridge", f"{_HERE}.ridge:FAMILY"),
)
