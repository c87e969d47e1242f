"""Evaluate: the model's predictions, its metrics on every part, and those of a baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import Map, Value, pick, pretty
from mlops_compile.steps.calibrations import calibrated, read_calibration
from mlops_compile.steps.kinds import family_of
from mlops_compile.steps.metrics import METRICS
from mlops_compile.steps.tables import write_table
from mlops_compile.steps.threshold import read_threshold
from mlops_compile.steps.train import load_part, read_target

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]


def run(work: Work) -> None:
    """Writes `metrics` (part -> metric -> number; the part `baseline` is the test part answered by
    the training part's class shares or mean) and `predictions` (row, truth and predictions of the
    test part, and the class that a threshold decides for)."""
    family = family_of(work.params)
    names = pick(work.params, ("evaluate", "metrics"))
    assert isinstance(names, tuple)
    wanted = tuple(str(name) for name in names)
    target, classes = read_target(work.inputs["target"])
    rows = {
        name: np.load(work.inputs[name], allow_pickle=False)
        for name in ("train", "validation", "test")
    }
    curves = read_calibration(work.inputs["calibration"]) if "calibration" in work.inputs else None
    threshold = read_threshold(work)
    metrics: dict[str, Value] = {}
    predicted: Array | None = None
    for name in ("test", "validation"):
        if not len(rows[name]):
            continue
        part = load_part(work, target, name)
        scores = family.predict(work.inputs["model"], part.features, len(classes))
        scores = scores if curves is None else calibrated(curves, scores)
        metrics[name] = _score(wanted, part.target, scores, name, threshold)
        predicted = scores if name == "test" else predicted
    assert predicted is not None
    truth = target[rows["test"]]
    constant = _baseline(target[rows["train"]], len(classes), len(truth))
    metrics["baseline"] = _score(wanted, truth, constant, "baseline")
    work.outputs["metrics"].write_text(pretty(Map(metrics)), "utf-8")
    write_table(
        work.outputs["predictions"], _predictions(rows["test"], truth, predicted, threshold)
    )


def _score(
    names: tuple[str, ...],
    truth: Array,
    predicted: Array,
    part: str,
    threshold: float | None = None,
) -> Map:
    """Metrics by name; those of answers see the answers of a threshold as certain ones."""
    certain = predicted
    if threshold is not None:
        positive = predicted[:, 1] >= threshold
        certain = np.column_stack([~positive, positive]).astype("float64")
    scores = {
        name: METRICS[name].score(truth, certain if METRICS[name].labels else predicted)
        for name in names
    }
    for name, score in scores.items():
        if not math.isfinite(score):
            message = f"{name} of the {part} part is {score}: it holds too few rows or classes"
            hint = "take another metric, or more rows (data.split.test_size)"
            raise StepError([problem("metric", message, ("evaluate", "metrics"), hint)])
    return Map(scores)


def _baseline(train: Array, classes: int, rows: int) -> Array:
    """The training part's class shares, or its mean, for every row."""
    if not classes:
        return np.full(rows, float(np.mean(train)))
    shares = np.bincount(train, minlength=classes) / len(train)
    return np.tile(shares, (rows, 1))


def _predictions(rows: Array, truth: Array, predicted: Array, threshold: float | None) -> pa.Table:
    columns = {"row": pa.array(rows), "truth": pa.array(truth)}
    scores = predicted if predicted.ndim == 2 else predicted[:, np.newaxis]
    for position in range(scores.shape[1]):
        columns[f"p{position}"] = pa.array(np.ascontiguousarray(scores[:, position]))
    if threshold is not None:
        columns["decision"] = pa.array((predicted[:, 1] >= threshold).astype("int64"))
    return pa.table(columns)
