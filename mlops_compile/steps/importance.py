"""Importance: what a model's answers come from, by column of the data and by prepared feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.evaluation import MetricOptions
from mlops_compile.steps.measure import Answers, measure
from mlops_compile.steps.metrics import METRICS

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

_REPEATS = 5
_MOST_ROWS = 20_000
_SHAP_ROWS = 2_000


def features_by_column(preparation: Map) -> dict[str, list[int]]:
    """The positions of the prepared features of each column."""
    features = preparation["features"]
    assert isinstance(features, tuple)
    found: dict[str, list[int]] = {}
    for position, feature in enumerate(features):
        assert isinstance(feature, Map)
        found.setdefault(str(feature["column"]), []).append(position)
    return found


def permutation(
    predict: Callable[[Array], Array],
    features: Array,
    answers: Answers,
    names: tuple[str, ...],
    options: MetricOptions,
    columns: dict[str, list[int]],
    seed_of: Callable[[str], int],
) -> Map:
    """How much worse each metric is when a column's values are dealt to other rows, mean of five
    deals: the prepared features of a column move together. The whole part, up to 20,000 rows of it,
    evenly spaced."""
    rows = spaced(len(answers.truth), _MOST_ROWS)
    features, answers = features[rows], answers.take(rows)
    whole, _ = measure(names, answers, options)
    found: dict[str, Value] = {}
    for column, places in columns.items():
        random = np.random.RandomState(seed_of(column))
        losses: dict[str, list[float]] = {name: [] for name in whole}
        for _ in range(_REPEATS):
            dealt = features.copy()
            dealt[:, places] = features[random.permutation(len(features))][:, places]
            scores, _ = measure(whole, replace(answers, predicted=predict(dealt)), options)
            for name, score in scores.items():
                assert isinstance(score, float)
                before = whole[name]
                assert isinstance(before, float)
                worse = before - score if METRICS[name].greater_is_better else score - before
                losses[name].append(worse)
        found[column] = Map(
            {name: float(np.mean(values)) + 0.0 for name, values in losses.items() if values}
        )
    return Map({"columns": Map(found), "repeats": _REPEATS, "rows": len(rows)})


def own_importance(found: dict[str, Array], preparation: Map) -> Map:
    """A family's own importance of features (split counts, gains), by feature."""
    names = _names(preparation)
    return Map(
        {
            sort: Map(dict(zip(names, (values + 0.0).tolist(), strict=True)))
            for sort, values in found.items()
        }
    )


def mean_shap(
    values: Callable[[Array], Array], features: Array, preparation: Map, classes: tuple[str, ...]
) -> Map:
    """Mean |SHAP value| of each feature on the part, up to 2,000 rows of it, evenly spaced, in the
    units of the model's score: log odds, or the target's. With more than two classes by class."""
    rows = spaced(len(features), _SHAP_ROWS)
    means = np.abs(values(features[rows])).mean(axis=0)  # outputs x features
    names = _names(preparation)
    by_output = [
        Map(dict(zip(names, (row + 0.0).tolist(), strict=True))) for row in np.atleast_2d(means)
    ]
    if len(by_output) == 1:
        return Map({"features": by_output[0], "rows": len(rows)})
    return Map({"classes": Map(dict(zip(classes, by_output, strict=True))), "rows": len(rows)})


def spaced(rows: int, most: int) -> Array:
    """Positions of all rows, or of so many of them, evenly spaced."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype("int64"))


def _names(preparation: Map) -> tuple[str, ...]:
    """The features' names, each once: a name that stands twice gets its position."""
    features = preparation["features"]
    assert isinstance(features, tuple)
    names = [str(feature["name"]) for feature in features if isinstance(feature, Map)]
    return tuple(
        name if names.count(name) == 1 else f"{name} (feature {place})"
        for place, name in enumerate(names)
    )
