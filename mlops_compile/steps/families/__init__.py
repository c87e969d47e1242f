"""Model families; one module each."""

from __future__ import annotations

from mlops_compile.steps.families.plugins import Families, Others

_HERE = "mlops_compile.steps.families"
FAMILIES = Families(
    "family",
    ("elastic_net", f"{_HERE}.elastic_net:FAMILY"),
    ("extra_trees", f"{_HERE}.extra_trees:FAMILY"),
    ("hist_gradient_boosting", f"{_HERE}.hist_gradient_boosting:FAMILY"),
    ("lightgbm", f"{_HERE}.lightgbm:FAMILY"),
    ("logistic_regression", f"{_HERE}.logistic_regression:FAMILY"),
    ("random_forest", f"{_HERE}.random_forest:FAMILY"),
    ("ridge", f"{_HERE}.ridge:FAMILY"),
)
OTHERS = Others()
