"""Ridge regression by scikit-learn, kept and evaluated as plain numbers."""

# scikit-learn and threadpoolctl are imported inside the functions that need them: compiling reads
# only the declaration.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families import linear
from mlops_compile.steps.families.kind import Complaint, Family, Training
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


def fit(training: Training) -> Mapping[str, bytes]:
    """Weights and intercept; BLAS runs on one thread, since its sums depend on their number."""
    import sklearn.linear_model
    import threadpoolctl

    model = sklearn.linear_model.Ridge(**thaw(training.params), random_state=training.seed)
    part = training.train
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            model.fit(part.features, part.target, sample_weight=part.weights)
    except ValueError as error:
        message = f"scikit-learn refuses these parameters: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    return linear.encode(model.coef_, model.intercept_)


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
    fit=fit,
    predict=predict,
    scorer="scorers/linear.py.jinja",
    serving=(),
    imports=("sklearn.linear_model", "threadpoolctl"),
)
