"""Score: what a trial's answers are worth, fold by fold, by the metric of the search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, pick, pretty
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, measure
from mlops_compile.steps.train import read_target
from mlops_compile.steps.weights import row_weights

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work


def run(work: Work) -> None:
    """Writes `metrics`: the `metric`, `each` (a number a fold, in order), their `mean` and their
    `deviation` (of a sample: over n - 1; 0 for one). StepError where one has no meaning."""
    metric = str(pick(work.params, ("search", "metric")))
    evaluate = work.params.get("evaluate", Map())
    options = from_value(MetricOptions, evaluate.get("options", Map()))  # type: ignore[union-attr]
    target, classes = read_target(work.inputs["target"])
    each = []
    for number in range(1, 1 + sum(port.startswith("test_") for port in work.inputs)):
        rows = np.load(work.inputs[f"test_{number}"], allow_pickle=False)
        answers = Answers(
            truth=target[rows],
            predicted=np.load(work.inputs[f"predictions_{number}"], allow_pickle=False),
            classes=classes,
            weight=row_weights(work, "test", rows),
        )
        found, missing = measure((metric,), answers, options)
        if missing:
            message = f"{metric} of fold {number} cannot be computed: {missing[metric]}"
            hint = "take another search.metric, fewer folds, or more rows"
            raise StepError([problem("metric", message, ("search", "metric"), hint)])
        each.append(float(found[metric]))  # type: ignore[arg-type]
    mean = math.fsum(each) / len(each)
    spread = math.fsum((number - mean) ** 2 for number in each) / max(1, len(each) - 1)
    value: dict[str, Value] = {
        "metric": metric,
        "each": tuple(each),
        "mean": mean,
        "deviation": math.sqrt(spread),
    }
    work.outputs["metrics"].write_text(pretty(Map(value)), "utf-8")
