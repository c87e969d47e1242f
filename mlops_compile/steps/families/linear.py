"""What the linear families share: the model as plain numbers, and its one way to be evaluated.

A BLAS product differs between one row and a batch, and between machines. Here a score is a sum in
the order of the features, rounded after each product and each addition, in numpy over rows as in
Python over one row, so that training, evaluation and serving give the same bits.
"""

# numpy, scikit-learn and threadpoolctl are imported inside the functions that need them: compiling
# reads only the declarations.

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import thaw

if TYPE_CHECKING:
    from mlops_compile.steps.families.kind import Array, Training

FILE = "linear.json"


def fit(training: Training, estimator: str) -> Mapping[str, bytes]:
    """Weights and intercepts of scikit-learn's linear model of this name; BLAS runs on one thread,
    since its sums depend on their number."""
    import sklearn.linear_model
    import threadpoolctl

    made = getattr(sklearn.linear_model, estimator)
    model = made(**thaw(training.params), random_state=training.seed)
    part = training.train
    try:
        with threadpoolctl.threadpool_limits(limits=1):
            model.fit(part.features, part.target, sample_weight=part.weights)
    except ValueError as error:
        message = f"scikit-learn refuses these parameters: {error}"
        raise StepError([problem("training", message, ("model", "params"))]) from None
    return encode(model.coef_, model.intercept_)


def encode(coef: Array, intercept: Array | float) -> dict[str, bytes]:
    """The files of a model as scikit-learn fits it: one row of weights and one intercept an output.

    Without an intercept, some of its solvers give one 0.0 for all outputs.
    """
    import numpy as np

    weights = np.atleast_2d(coef)
    value = {
        "intercepts": np.broadcast_to(intercept, len(weights)).astype("float64").tolist(),
        "weights": weights.astype("float64").tolist(),
    }
    return {FILE: (json.dumps(value, allow_nan=False, indent=1) + "\n").encode("ascii")}


def scores(directory: Path, features: Array) -> Array:
    """intercept + x0*w0 + x1*w1 + ..., left to right: rows x outputs."""
    import numpy as np

    value = json.loads((directory / FILE).read_text("ascii"))
    columns = []
    for weights, intercept in zip(value["weights"], value["intercepts"], strict=True):
        total = np.full(len(features), intercept)
        for position, weight in enumerate(weights):
            total = total + features[:, position] * weight
        columns.append(total)
    return np.column_stack(columns)


def sigmoid(score: float) -> float:
    """1 / (1 + exp(-score)) without overflow, by the C library's exp."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    power = math.exp(score)
    return power / (1.0 + power)


def softmax(row: Sequence[float]) -> list[float]:
    """Exponentials of the differences to the largest score, over their sum left to right."""
    top = max(row)
    powers = [math.exp(score - top) for score in row]
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]
