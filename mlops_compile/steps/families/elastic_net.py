"""Linear regression with L1 and L2 penalties by scikit-learn, kept and evaluated as plain numbers.

With `l1_ratio` 1 it is the lasso.
"""

from __future__ import annotations

from functools import partial

from mlops_compile.ir.value import Map
from mlops_compile.steps.families import linear, ridge
from mlops_compile.steps.families.kind import Complaint, Family


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """None: every value of its table goes with every other."""
    return ()


FAMILY = Family(
    name="elastic_net",
    tasks=("regression",),
    accepts=("numeric", "boolean"),
    missing=False,
    chains=ridge.FAMILY.chains,
    distributions=ridge.FAMILY.distributions,
    seeded=True,
    complaints=complaints,
    fit=partial(linear.fit, estimator="ElasticNet"),
    predict=ridge.predict,
    scorer="scorers/linear.py.jinja",
    serving=(),
    imports=("sklearn.linear_model", "threadpoolctl"),
)
