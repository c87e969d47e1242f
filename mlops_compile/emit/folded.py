"""Folded: what the models of a cross-validation come to: mean, deviation, and each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_compile.ir.value import Map

_TOGETHER = (("mean", "mean"), ("deviation", "deviation"), ("mean of the baselines", "baseline"))


def folded(evaluation: Map) -> Iterator[dict[str, Any]]:
    """A row for each of what the folds come to together, and for each fold: its name, the footnote
    of the step that it is from, and metric -> number. None where there are no folds."""
    folds = evaluation.get("folds")
    if not isinstance(folds, Map):
        return
    each = folds["each"]
    assert isinstance(each, tuple)
    for name, port in _TOGETHER:
        yield {"name": name, "note": "folds", "metrics": folds[port], "step": ""}
    for number, metrics in enumerate(each, start=1):
        step = f"fold/{number}/evaluate"
        yield {"name": f"fold {number}", "note": f"fold_{number}", "metrics": metrics, "step": step}
