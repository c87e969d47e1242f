"""Model families; one module each."""

from __future__ import annotations

from mlops_compile.steps.families import lightgbm, logistic_regression, ridge
from mlops_compile.steps.registry import registry

FAMILIES = registry("family", lightgbm.FAMILY, logistic_regression.FAMILY, ridge.FAMILY)
