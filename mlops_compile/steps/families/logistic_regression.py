"""Logistic regression by scikit-learn, kept and evaluated as plain numbers."""

# numpy is imported inside the function that needs it: compiling reads only the declaration.

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.value import Map
from mlops_compile.steps.families import linear
from mlops_compile.steps.families.kind import Complaint, Family, chains

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array

_SAGA = "model.params.solver=saga"


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """Solvers that cannot do what is asked."""
    solver = params.get("solver", "lbfgs")
    ratio = params.get("l1_ratio") or 0.0
    dual = params.get("dual") is True
    assert isinstance(ratio, float)
    found = []
    if solver == "liblinear" and task == "multiclass":
        message = "liblinear cannot fit more than two classes"
        found.append(Complaint(param="solver", message=message, hint="lbfgs, saga or another"))
    if solver == "liblinear" and params.get("tol") == 0:
        message = "liblinear needs a tolerance above 0"
        found.append(Complaint(param="tol", message=message, hint="1e-4 is the default"))
    if ratio > 0 and solver not in ("saga", "liblinear"):
        message = f"an l1 penalty needs another solver than {solver}"
        found.append(Complaint(param="l1_ratio", message=message, hint=_SAGA, unless=("solver",)))
    if 0 < ratio < 1 and solver == "liblinear":
        message = "liblinear has an l1 or an l2 penalty, not both"
        found.append(Complaint(param="l1_ratio", message=message, hint=f"0 or 1, or {_SAGA}"))
    if dual and solver != "liblinear":
        message = f"{solver} has no dual problem, only liblinear has"
        hint = "leave it out"
        found.append(Complaint(param="dual", message=message, hint=hint, unless=("solver",)))
    if dual and ratio == 1 and solver == "liblinear":
        message = "liblinear solves the dual problem with an l2 penalty only"
        found.append(Complaint(param="dual", message=message, hint="leave it out"))
    return tuple(found)


def predict(directory: Path, features: Array, classes: int) -> Array:
    """Probabilities."""
    import numpy as np

    scores = linear.scores(directory, features)
    if classes == 2:
        positive = np.array([linear.sigmoid(score) for score in scores[:, 0].tolist()])
        return np.column_stack([1.0 - positive, positive])
    return np.array([linear.softmax(row) for row in scores.tolist()])


FAMILY = Family(
    name="logistic_regression",
    tasks=("binary", "multiclass"),
    accepts=("numeric", "boolean"),
    missing=False,
    chains=chains(
        numeric=[{"impute": {}}, {"scale": {}}],
        boolean=[{"impute": {"strategy": "most_frequent"}}],
        categorical=[{"one_hot": {}}],
        datetime=[{"date_parts": {}}, {"impute": {}}, {"scale": {}}],
    ),
    distributions=(
        *("joblib", "narwhals", "numpy", "pandas", "pyarrow"),
        *("scikit-learn", "scipy", "threadpoolctl"),
    ),
    seeded=True,
    complaints=complaints,
    fit=partial(linear.fit, estimator="LogisticRegression"),
    predict=predict,
    scorer="scorers/linear.py.jinja",
    serving=(),
    imports=("sklearn.linear_model", "threadpoolctl"),
)
