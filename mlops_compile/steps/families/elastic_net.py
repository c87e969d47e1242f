"""Linear regression with L1 and L2 penalties by scikit-learn, kept and evaluated as plain numbers.

With `l1_ratio` 1 it is the lasso.
"""

# scikit-learn and threadpoolctl are imported inside the functions that need them: compiling reads
# only the declaration.

from __future__ import annotations

from collections.abc import Mapping

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, thaw
from mlops_compile.steps.families import linear, ridge
from mlops_compile.steps.families.kind import Complaint, Family, Training


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """None: every value of its table goes with every other."""
    return ()


def fit(training: Training) -> Mapping[str, bytes]:
    """Weights and intercept; BLAS runs on one thread, since its sums depend on their number."""
    import sklearn.linear_model
    import threadpoolctl

    model = sklearn.linear_model.ElasticNet(
        **thaw(training.params),
        random_state=training.seed,
    )
    part = training.train
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            model.fit(part.features, part.target, sample_weight=part.weights)
    except ValueError as error:
        message = f"scikit-learn refuses these parameters: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    return linear.encode(model.coef_, model.intercept_)


FAMILY = Family(
    name="elastic_net",
    tasks=("regression",),
    accepts=("numeric", "boolean"),
    missing=False,
    chains=ridge.FAMILY.chains,
    distributions=ridge.FAMILY.distributions,
    seeded=True,
    complaints=complaints,
    fit=fit,
    predict=ridge.predict,
    scorer="scorers/linear.py.jinja",
    serving=(),
    imports=("sklearn.linear_model", "threadpoolctl"),
)
