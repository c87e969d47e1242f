"""Extremely randomised trees by scikit-learn, kept and evaluated as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_compile.ir.value import Map
from mlops_compile.steps.families import forests, trees
from mlops_compile.steps.families.kind import Complaint, Family, Training


def complaints(params: Map, task: str, has_validation: bool) -> tuple[Complaint, ...]:
    """What a forest cannot do."""
    return forests.complaints(params, task, bootstrap=False)


def fit(training: Training) -> Mapping[str, bytes]:
    """The trees of a forest."""
    return forests.fit(training, ("ExtraTreesClassifier", "ExtraTreesRegressor"))


FAMILY = Family(
    name="extra_trees",
    tasks=("binary", "multiclass", "regression"),
    accepts=("numeric", "boolean"),
    missing=True,
    chains=forests.CHAINS,
    distributions=forests.DISTRIBUTIONS,
    seeded=True,
    complaints=complaints,
    fit=fit,
    predict=trees.predict,
    scorer="scorers/trees.py.jinja",
    serving=(),
    imports=("sklearn.ensemble",),
    trees=trees.read,
)
