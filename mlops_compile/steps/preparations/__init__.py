"""Preparations: how columns become the features of a model; one module each."""

from __future__ import annotations

from mlops_compile.steps.preparations import (
    category,
    date_parts,
    impute,
    one_hot,
    ordinal,
    scale,
)
from mlops_compile.steps.registry import registry

PREPARATIONS = registry(
    "preparation",
    category.PREPARATION,
    date_parts.PREPARATION,
    impute.PREPARATION,
    one_hot.PREPARATION,
    ordinal.PREPARATION,
    scale.PREPARATION,
)
