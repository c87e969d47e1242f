"""What `evaluate` may ask for, declared: metrics and their options, intervals, segments, extras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_compile.ir.schema import group, key
from mlops_compile.ir.value import Map

# What is told of the test part beside its metrics; docs/evaluation.md says what each costs.
EXTRAS = ("calibration", "confusion", "curves", "importance", "permutation", "residuals", "shap")
# The keys that change what is measured, and those by which it is judged.
MEASURED = ("metrics", "options", "train", "bootstrap", "segments", "segment_rows", "include")
# What the metrics alone follow from, as those of a fold.
COUNTED = ("metrics", "options")
JUDGED = ("primary", "gates", "allow_worse_than_baseline")
_USUAL = ("calibration", "confusion", "curves", "importance", "residuals")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricOptions:
    """`evaluate.options`: numbers that some metrics take."""

    alpha: float = key(
        "the quantile of mean_pinball_loss and d2_pinball",
        default=0.5,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
    )
    beta: float = key(
        "how much more recall weighs than precision in fbeta", default=2.0, low=0, low_open=True
    )
    k: int = key("how many of the most probable classes count in top_k_accuracy", default=2, low=1)
    power: float = key(
        "of mean_tweedie_deviance and d2_tweedie: 0 normal, 1 poisson, 2 gamma", default=1.5, low=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """`evaluate.bootstrap`: intervals of the test part's metrics, from rows drawn again."""

    resamples: int = key("how often the rows are drawn", default=1000, low=20)
    level: float = key(
        "share of the resamples that an interval holds",
        default=0.95,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
    )
    most_rows: int = key("no intervals for a test part of more rows", default=50_000, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """`evaluate`: what is measured, and what must be reached."""

    primary: str | None = key("the metric to judge by; else the first", default=None)
    metrics: tuple[str, ...] | None = key("metrics by name; else the task's usual", default=None)
    options: MetricOptions = group("numbers that some metrics take", MetricOptions)
    train: bool = key("measure the training part too", default=False)
    bootstrap: Bootstrap | None = key(
        "intervals of the test part's metrics; null makes none", default=Bootstrap()
    )
    segments: tuple[str, ...] = key(
        "columns whose levels are measured apart, beside those of the role segment", default=()
    )
    segment_rows: int = key("rows that a level needs to be measured", default=30, low=1)
    include: tuple[str, ...] = key(
        "what is told of the test part beside its metrics", default=_USUAL, choices=EXTRAS
    )
    gates: Map = key(
        "what must be reached: {roc_auc: '>= 0.9', validation: {roc_auc: '>= 0.85'}}",
        default=Map(),
    )
    allow_worse_than_baseline: bool = key(
        "take a model that is worse than the baseline by the primary metric", default=False
    )
    cross_validation: Any = key(
        "folds to train and to evaluate on besides; null: none", default=None, variants="folds"
    )


def draws(params: Map) -> bool:
    """Whether an evaluate step with these params draws random numbers."""
    asked = params.get("evaluate", Map())
    assert isinstance(asked, Map)
    include = asked.get("include", _USUAL)
    assert isinstance(include, tuple)
    return asked.get("bootstrap", True) is not None or "permutation" in include
