"""Kinds of data sources; one module a kind."""

from __future__ import annotations

from mlops_compile.steps.registry import registry
from mlops_compile.steps.sources import csv, sklearn

SOURCES = registry("source kind", csv.KIND, sklearn.KIND)
