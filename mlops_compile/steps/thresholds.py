"""Rules for a decision's threshold, declared: the keys under `model.threshold`."""

# numpy is imported inside the functions that need it: compiling reads only the declaration.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.schema import key

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows by truth and answer, or what they weigh, for each threshold that could be taken (arrays
    of equal length)."""

    true_positive: Array
    false_positive: Array
    false_negative: Array
    true_negative: Array


def _share(part: Array, whole: Array) -> Array:
    """part / whole, and 0 where there is nothing to take a part of, as scikit-learn has it."""
    import numpy as np

    found: Array = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return found


def _recall(n: Counts) -> Array:
    return _share(n.true_positive, n.true_positive + n.false_negative)


def _specificity(n: Counts) -> Array:
    return _share(n.true_negative, n.true_negative + n.false_positive)


# The metrics of answers, by the names of steps/metrics.py; all are better when greater.
RATES: Mapping[str, Callable[[Counts], Array]] = {
    "accuracy": lambda n: _share(
        n.true_positive + n.true_negative,
        n.true_positive + n.true_negative + n.false_positive + n.false_negative,
    ),
    "balanced_accuracy": lambda n: (_recall(n) + _specificity(n)) / 2,
    "f1": lambda n: _share(
        2 * n.true_positive, 2 * n.true_positive + n.false_positive + n.false_negative
    ),
    "precision": lambda n: _share(n.true_positive, n.true_positive + n.false_positive),
    "recall": _recall,
}
# The keys of each rule: those that must be given.
RULES: Mapping[str, tuple[str, ...]] = {
    "metric": ("metric",),
    "constraint": ("metric", "at_least", "maximise"),
    "costs": ("false_positive", "false_negative"),
    "fixed": ("value",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A binary answer is the positive class from this probability on, chosen by a rule on the
    validation part."""

    rule: str = key(
        "metric (the best one), constraint (the best of one, with another at least so high),"
        " costs (the least, of each error) or fixed",
        choices=tuple(RULES),
    )
    metric: str | None = key(
        "metric: what is to be greatest; constraint: what must be reached",
        default=None,
        choices=tuple(RATES),
    )
    at_least: float | None = key("constraint: how high it must be", default=None, low=0, high=1)
    maximise: str | None = key(
        "constraint: what is to be greatest then", default=None, choices=tuple(RATES)
    )
    false_positive: float | None = key("costs: of a wrong positive answer", default=None, low=0)
    false_negative: float | None = key("costs: of a missed positive", default=None, low=0)
    value: float | None = key(
        "fixed: the threshold", default=None, low=0, high=1, low_open=True, high_open=True
    )
