"""The reference that a bundle carries: its data and its answers, for monitoring to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.reference import SCORE, Calibration, ColumnReference, Reference
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import Map, Value, found_at
from mlops_compile.steps.metrics import labels_of
from mlops_compile.steps.monitoring import Kept, Monitor
from mlops_compile.steps.segments import cuts
from mlops_compile.steps.tables import read_table
from mlops_compile.steps.versus import scores_in

if TYPE_CHECKING:
    from mlops_compile.steps.kind import Work

    Array = np.ndarray[Any, Any]

_CALIBRATION_BINS = 20


def reference(work: Work, spec: ServingSpec, evaluation: Map) -> Reference:
    """Of a package step's inputs: columns of the contract on the rows to learn from; answers,
    calibration, metrics and segments of the test rows."""
    kept = from_value(Monitor, work.params.get("monitor", Map())).reference
    table = read_table(work.inputs["table"])
    train = np.load(work.inputs["train"], allow_pickle=False)
    hidden, contract = {*spec.served.sensitive}, spec.contract
    scores = scores_in(work.inputs["predictions"])
    truth = read_table(work.inputs["predictions"]).column("truth").to_numpy()
    secret, classes = contract.target in hidden, contract.classes
    return Reference(
        task=contract.task,
        target=contract.target,
        classes=classes,
        primary=_primary(work.params, evaluation),
        columns=tuple(
            _column(one, table.column(one.name).take(pa.array(train)), one.name in hidden, kept)
            for one in spec.columns
        ),
        score=_score(scores, classes, spec.threshold, kept),
        truth=_truth(truth, classes, contract.target, secret, kept),
        calibration=tuple(_calibration(scores, truth, len(classes))),
        metrics=_map(found_at(evaluation, ("parts", "test", "metrics"))),
        segments=Map(dict(_segments(spec.columns, hidden, evaluation, table, train))),
        threshold=spec.threshold,
        options=_map(found_at(work.params, ("evaluate", "options")) or Map()),
    )


def _primary(params: Map, evaluation: Map) -> str:
    """The metric to judge by."""
    stated = found_at(params, ("evaluate", "primary"))
    names = evaluation["metrics"]
    assert isinstance(names, tuple)
    return str(stated or names[0])


def _map(value: Value) -> Map:
    assert isinstance(value, Map)
    return value


def _column(
    column: ServedColumn, values: pa.ChunkedArray, secret: bool, kept: Kept
) -> ColumnReference:
    if secret:
        missing = int(pc.sum(pc.is_null(values, nan_is_null=True)).as_py() or 0)
        head = {"name": column.name, "kind": column.kind, "rows": len(values)}
        return ColumnReference(**head, missing=missing, sensitive=True)  # type: ignore[arg-type]
    if column.kind in ("categorical", "boolean"):
        return levels_reference(column.name, column.kind, values, kept)
    return numbers_reference(column.name, column.kind, _numbers(values), kept)


def _numbers(values: pa.ChunkedArray) -> Array:
    """Numbers, or times as seconds since 1970; NaN where missing."""
    plain, unit = values.combine_chunks(), 1.0
    if pa.types.is_timestamp(plain.type):
        plain = pc.cast(pc.cast(plain, pa.timestamp("us", plain.type.tz)), pa.int64())
        unit = 1e6
    found: Array = plain.to_numpy(zero_copy_only=False).astype("float64") / unit
    return found


def numbers_reference(name: str, kind: str, values: Array, kept: Kept) -> ColumnReference:
    """The reference of numbers (float64; NaN where missing)."""
    known = np.sort(values[~np.isnan(values)]) + 0.0  # no negative zeros
    rows, missing = len(values), len(values) - len(known)
    if not len(known):
        return ColumnReference(name=name, kind=kind, rows=rows, missing=missing)
    edges = _edges(known, kept.bins)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    taken = known
    if len(known) > kept.values:
        taken = known[np.linspace(0, len(known) - 1, kept.values).round().astype("int64")]
    distinct, often = np.unique(taken, return_counts=True)
    with np.errstate(over="ignore"):
        deviation = float(known.std())
    return ColumnReference(
        name=name,
        kind=kind,
        rows=rows,
        missing=missing,
        low=float(known[0]),
        high=float(known[-1]),
        deviation=deviation if np.isfinite(deviation) else None,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        sample=tuple(zip(distinct.tolist(), often.tolist(), strict=True)),
    )


def _edges(known: Array, bins: int) -> Array:
    """Inner edges of bins of about as many values each. Where the least value is so frequent that
    it takes more than a bin (a mass of zeros), it has one of its own, and the values above it the
    others."""
    edges = np.unique(_at(known, np.arange(1, bins) / bins))
    rest = known[known > known[0]]
    if len(edges) and edges[0] == known[0] and len(rest):
        edges = np.unique(_at(rest, np.arange(bins - 1) / (bins - 1)))
    found: Array = edges[edges > known[0]]
    return found


def _at(known: Array, shares: Array) -> Array:
    """The values at these shares of the sorted ones: each is one of them."""
    found: Array = known[np.minimum((shares * len(known)).astype("int64"), len(known) - 1)]
    return found


def levels_reference(name: str, kind: str, values: Any, kept: Kept) -> ColumnReference:
    """The reference of texts or truth values: an Arrow array, null where missing."""
    counted = pc.value_counts(values.combine_chunks() if hasattr(values, "chunks") else values)
    found: dict[str, int] = {}
    missing = 0
    for value, count in zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    ):
        if value is None:
            missing = count
        else:
            found[_text(value)] = count
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    beyond = ordered[kept.levels :]
    return ColumnReference(
        name=name,
        kind=kind,
        rows=len(values),
        missing=missing,
        levels=tuple(ordered[: kept.levels]),
        other=sum(count for _, count in beyond) if beyond else None,
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _score(
    scores: Array, classes: tuple[str, ...], threshold: float | None, kept: Kept
) -> ColumnReference:
    """What is answered: the positive class's probability, the class, or the number."""
    if len(classes) > 2:
        answered = pa.array([classes[code] for code in labels_of(scores, threshold).tolist()])
        return levels_reference(SCORE, "categorical", answered, kept)
    return numbers_reference(SCORE, "numeric", scores[:, 1] if classes else scores, kept)


def _truth(
    truth: Array, classes: tuple[str, ...], target: str, secret: bool, kept: Kept
) -> ColumnReference:
    kind = "categorical" if classes else "numeric"
    if secret:
        return ColumnReference(name=target, kind=kind, rows=len(truth), missing=0, sensitive=True)
    if not classes:
        return numbers_reference(target, kind, truth.astype("float64"), kept)
    names = pa.array([classes[code] for code in truth.tolist()])
    return levels_reference(target, kind, names, kept)


def _calibration(scores: Array, truth: Array, classes: int) -> Iterator[tuple[Calibration, ...]]:
    """For each class, or the positive one of two, bins of about as many test rows each."""
    for code in [1] if classes == 2 else range(classes):
        order = np.argsort(scores[:, code], kind="stable")
        own, right = scores[order, code], truth[order] == code
        ends = np.linspace(0, len(own), min(_CALIBRATION_BINS, len(own)) + 1).astype("int64")
        bins = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        yield tuple(
            Calibration(
                score=float(own[low:high].mean()), rows=high - low, true=int(right[low:high].sum())
            )
            for low, high in bins
        )


def _segments(
    columns: tuple[ServedColumn, ...],
    hidden: set[str],
    evaluation: Map,
    table: pa.Table,
    train: Array,
) -> Iterator[tuple[str, Value]]:
    """Of columns that a log has: their levels with rows and metrics, and where numbers (times:
    seconds) are cut into them."""
    measured = evaluation.get("segments", Map())
    assert isinstance(measured, Map)
    kinds: Mapping[str, str] = {column.name: column.kind for column in columns}
    for name, facts in measured.items():
        if name not in kinds or name in hidden:
            continue
        levels = _map(_map(facts)["levels"])
        found: dict[str, Value] = {
            "levels": Map(
                {
                    level: Map({"rows": _map(own)["rows"], "metrics": _map(own)["metrics"]})
                    for level, own in levels.items()
                }
            )
        }
        if kinds[name] not in ("categorical", "boolean"):
            values = table.column(name).combine_chunks()
            _, edges, names = cuts(values, train)
            unit = 1e6 if pa.types.is_timestamp(values.type) else 1.0
            found |= {"edges": tuple((edges / unit).tolist()), "names": tuple(names)}
        yield name, Map(found)
