"""Ridge regression by scikit-learn, kept and evaluated as plain numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.value import Map
from mlops_compile.steps.families import linear
from mlops_compile.steps.families.kind import Complaint, Family
from mlops_compile.steps.families.logistic_regression import FAMILY as LOGISTIC_REGRESSION

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """`positive` belongs to one solver."""
    solver = params.get("solver", "auto")
    if params.get("positive") is True and solver not in ("auto", "lbfgs"):
        message = f"positive weights need the solver lbfgs, not {solver}"
        return (Complaint(param="positive", message=message),)
    if solver == "lbfgs" and params.get("positive") is not True:
        message = "the solver lbfgs is for positive weights"
        hint = "leave it out, or set model.params.positive=true"
        return (Complaint(param="solver", message=message, hint=hint, unless=("positive",)),)
    return ()


def predict(directory: Path, features: Array, classes: int) -> Array:
    """Numbers."""
    return linear.scores(directory, features)[:, 0]


FAMILY = Family(
    name="ridge",
    tasks=("regression",),
    accepts=("numeric", "boolean"),
    missing=False,
    chains=LOGISTIC_REGRESSION.chains,
    distributions=LOGISTIC_REGRESSION.distributions,
    seeded=True,
    complaints=complaints,
    fit=partial(linear.fit, estimator="Ridge"),
    predict=predict,
    scorer="scorers/linear.py.jinja",
    serving=(),
    imports=("sklearn.linear_model", "threadpoolctl"),
)
