"""Evaluate: the model's predictions, and what they are worth: by part, by segment, by baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, Value, pretty
from mlops_compile.steps.calibrations import calibrated, read_calibration
from mlops_compile.steps.curves import told
from mlops_compile.steps.evaluation import Evaluate
from mlops_compile.steps.importance import (
    features_by_column,
    mean_shap,
    own_importance,
    permutation,
)
from mlops_compile.steps.intervals import intervals
from mlops_compile.steps.measure import Answers, measure, summary
from mlops_compile.steps.needs import family_of
from mlops_compile.steps.prepare import read_matrix, read_preparation
from mlops_compile.steps.segments import measure_segments
from mlops_compile.steps.tables import read_table, write_table
from mlops_compile.steps.threshold import read_threshold
from mlops_compile.steps.train import PREPARATION, is_secret, read_target
from mlops_compile.steps.weights import row_weights

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]


def run(work: Work) -> None:
    """Writes `metrics` (part -> metric -> number; the part `baseline` is the test part answered by
    the training part's class shares or mean), `predictions` (row, truth and predictions of the
    test part, and the class that a threshold decides for) and `evaluation` (all that was measured,
    as data; docs/evaluation.md), the latter two where they are asked for."""
    asked = from_value(Evaluate, work.params["evaluate"])
    target, classes = read_target(work.inputs["target"])
    rows = {
        name: np.load(work.inputs[name], allow_pickle=False)
        for name in ("train", "validation", "test")
    }
    weights = {name: row_weights(work, name, own) for name, own in rows.items()}
    parts = {
        name: _answers(work, target, classes, rows[name], weights[name])
        for name in ("test", "validation", *(["train"] if asked.train else []))
        if len(rows[name])
    }
    test = parts["test"]
    constants = {
        name: own.instead(
            _baseline(target[rows["train"]], weights["train"], len(classes), len(own.truth))
        )
        for name, own in parts.items()
    }
    parts["baseline"] = constants.pop("test")
    facts = {name: _part(name, answers, asked) for name, answers in parts.items()}
    metrics = Map({name: part["metrics"] for name, part in facts.items()})
    work.outputs["metrics"].write_text(pretty(metrics), "utf-8")
    if "predictions" in work.outputs:
        write_table(work.outputs["predictions"], _predictions(rows["test"], test))
    if "evaluation" not in work.outputs:
        return
    found: dict[str, Value] = {"format": 1, "metrics": _names(asked)}
    if asked.bootstrap is not None:
        found["intervals"] = _intervals(work, asked, test, parts["baseline"])
    if "table" in work.inputs:
        if segments := _segments(work, asked, rows, test, parts["baseline"]):
            found["segments"] = segments
    found |= told(asked.include, test)
    found |= _importance(work, asked, rows["test"], test)
    found["parts"] = Map(facts)
    found["baselines"] = Map({name: _part(name, own, asked) for name, own in constants.items()})
    found["rows"] = Map(
        {
            name: Map(summary(target[own], classes, weights[name], test.secret))
            for name, own in rows.items()
        }
    )
    work.outputs["evaluation"].write_text(pretty(Map(found)), "utf-8")


def _names(asked: Evaluate) -> tuple[str, ...]:
    assert asked.metrics is not None
    return asked.metrics


def _answers(
    work: Work, target: Array, classes: tuple[str, ...], rows: Array, weight: Array | None
) -> Answers:
    """What the model answers for some rows of the table, and what they weigh."""
    features = read_matrix(work.inputs["features"], rows)
    return Answers(
        truth=target[rows],
        predicted=_predict(work, features, len(classes)),
        classes=classes,
        weight=weight,
        decision=read_threshold(work),
        secret=is_secret(work.inputs["target"]),
    )


def _predict(work: Work, features: Array, classes: int) -> Array:
    """What the service answers: calibrated, where the config asks for it."""
    predicted = family_of(work.params).predict(work.inputs["model"], features, classes)
    if "calibration" not in work.inputs:
        return predicted
    return calibrated(read_calibration(work.inputs["calibration"]), predicted)


def _part(name: str, answers: Answers, asked: Evaluate) -> Map:
    """The metrics of a part. What has no meaning for the test part is refused; for
    another part it is told."""
    values, missing = measure(_names(asked), answers, asked.options)
    if missing and name == "test":
        hint = "take another metric, or more rows (data.split.test_size)"
        raise StepError(
            problem(
                "metric",
                f"{metric} of the test part cannot be computed: {why}",
                ("evaluate", "metrics"),
                hint,
            )
            for metric, why in missing.items()
        )
    return Map({"metrics": Map(values), "not_computed": Map(missing)})


def _baseline(train: Array, weights: Array | None, classes: int, rows: int) -> Array:
    """The class shares of the training part's targets, or their mean, for every row."""
    if not classes:
        return np.full(rows, float(np.average(train, weights=weights)))
    counts = np.bincount(train, weights, minlength=classes)
    return np.tile(counts / counts.sum(), (rows, 1))


def _intervals(work: Work, asked: Evaluate, test: Answers, baseline: Answers) -> Map:
    assert asked.bootstrap is not None
    found, differences, missing = intervals(
        _names(asked), test, baseline, asked.bootstrap, asked.options, work.seed_for("bootstrap")
    )
    return Map(
        {
            "level": asked.bootstrap.level,
            "resamples": asked.bootstrap.resamples,
            "metrics": Map(found),
            "above_baseline": Map(differences),
            "not_computed": Map(missing),
        }
    )


def _segments(
    work: Work, asked: Evaluate, rows: dict[str, Array], test: Answers, baseline: Answers
) -> Map:
    columns = work.params.get("data", Map()).get("columns", Map())  # type: ignore[union-attr]
    assert isinstance(columns, Map)
    sensitive = frozenset(
        name for name, column in columns.items() if isinstance(column, Map) and column["sensitive"]
    )
    return measure_segments(
        read_table(work.inputs["table"]),
        asked.segments,
        sensitive,
        rows["train"],
        rows["test"],
        test,
        baseline,
        _names(asked),
        asked.options,
        asked.segment_rows,
    )


def _importance(work: Work, asked: Evaluate, rows: Array, test: Answers) -> dict[str, Value]:
    """The importances that are asked for, of the family where it has them."""
    family, model, classes = family_of(work.params), work.inputs["model"], test.classes
    found: dict[str, Value] = {}
    wanted = {"importance", "permutation", "shap"} & {*asked.include}
    if not wanted:
        return found
    preparation = read_preparation(model / PREPARATION)
    if "importance" in wanted and family.importance is not None:
        found["importance"] = own_importance(dict(family.importance(model)), preparation)
    if wanted == {"importance"}:
        return found
    features = read_matrix(work.inputs["features"], rows)
    if "permutation" in wanted:
        found["permutation"] = permutation(
            lambda some: _predict(work, some, len(classes)),
            features,
            test,
            _names(asked),
            asked.options,
            features_by_column(preparation),
            lambda column: work.seed_for("permutation", column),
        )
    if "shap" in wanted:
        shap = family.shap
        found["shap"] = Map({"not_computed": f"{family.name} has no SHAP values of its own"})
        if shap is not None:
            found["shap"] = mean_shap(
                lambda some: shap(model, some, len(classes)), features, preparation, classes
            )
    return found


def _predictions(rows: Array, answers: Answers) -> pa.Table:
    columns = {"row": pa.array(rows), "truth": pa.array(answers.truth)}
    predicted = answers.predicted
    scores = predicted if predicted.ndim == 2 else predicted[:, np.newaxis]
    for position in range(scores.shape[1]):
        columns[f"p{position}"] = pa.array(np.ascontiguousarray(scores[:, position]))
    if answers.decision is not None:
        columns["decision"] = pa.array(answers.labels)
    return pa.table(columns)
