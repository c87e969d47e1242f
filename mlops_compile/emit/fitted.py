"""The fitted pipeline over requests: preparation, model, calibration and decision, as they were
evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.problem import StepError
from mlops_compile.ir.serving import ServedColumn, ServingSpec
from mlops_compile.ir.value import Map
from mlops_compile.steps.applied import Prepared, applied, derived_too, matrix
from mlops_compile.steps.calibrations import calibrated
from mlops_compile.steps.functions import imported
from mlops_compile.steps.metrics import labels_of
from mlops_compile.steps.preparations.kind import Feature
from mlops_compile.steps.prepare import load_column

Array = np.ndarray[Any, Any]
Request = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the fitted pipeline says of a request: scores (probabilities in the order of the
    classes, or one number) and the class, None in a regression and where scores are no numbers."""

    scores: list[float]
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The fitted pipeline of a service: its preparation, its model by directory and by what reads
    it, and its calibration, where it has one."""

    spec: ServingSpec
    preparation: Map
    model: Path
    predict: Callable[[Path, Any, int], Any]
    calibration: Map | None = None

    def answers(self, requests: Sequence[Request]) -> list[Answered | None]:
        """What it says of each request; None of one that a function of the user's, or the model,
        refuses."""
        with imported(dict(self.spec.carried.files)) as load:
            taken = self._taken(requests, load)
            prepared = applied(
                self.preparation, columns_of(self.spec, [requests[n] for n in taken]), load
            )
        found: list[Answered | None] = [None] * len(requests)
        rows = matrix(prepared) if taken else np.empty((0, 1))
        try:
            scores = [*self.calibrated(self.raw(rows))] if taken else []
        except ValueError:  # of a row that the model does not take
            scores = [self._alone(rows[place : place + 1]) for place in range(len(rows))]
        for number, score in zip(taken, scores, strict=True):
            found[number] = None if score is None else self._answered(score)
        return found

    def prepared(self, requests: Sequence[Request]) -> list[Prepared]:
        """What its preparation makes of requests, column by column; StepError where a function of
        the user's fails."""
        with imported(dict(self.spec.carried.files)) as load:
            return applied(self.preparation, columns_of(self.spec, requests), load)

    def raw(self, rows: Array) -> Array:
        """The model's own answers (rows x outputs) for rows of features. ValueError where it
        refuses them."""
        with np.errstate(all="ignore"):
            found = self.predict(self.model, rows, len(self.spec.contract.classes))
        return np.asarray(found).reshape(len(rows), -1)

    def calibrated(self, scores: Array) -> Array:
        """The answers that the model's own mean."""
        if self.calibration is None:
            return scores
        with np.errstate(all="ignore"):
            return calibrated(self.calibration, scores)

    def _alone(self, row: Array) -> Array | None:
        try:
            found: Array = self.calibrated(self.raw(row))[0]
            return found
        except ValueError:
            return None

    def _answered(self, scores: Array) -> Answered:
        classes = self.spec.contract.classes
        label = None
        if classes and np.isfinite(scores).all():
            label = classes[int(labels_of(scores[np.newaxis], self.spec.threshold)[0])]
        return Answered(scores=scores.tolist(), label=label)

    def _taken(self, requests: Sequence[Request], load: Any) -> list[int]:
        """The places of the requests that no function of the user's refuses."""
        columns = columns_of(self.spec, requests)
        every = [*range(len(requests))]
        if self._derives(columns, load):
            return every
        return [n for n in every if self._derives(_row(columns, n), load)]

    def _derives(self, columns: dict[str, Feature], load: Any) -> bool:
        try:
            derived_too(self.preparation, columns, load)
        except StepError:
            return False
        return True


def columns_of(spec: ServingSpec, requests: Sequence[Request]) -> dict[str, Feature]:
    """The fields of requests as columns of a validated table would be loaded."""
    return {column.name: _column(column, requests) for column in spec.columns}


def _column(column: ServedColumn, requests: Sequence[Request]) -> Feature:
    values = [request.get(column.name) for request in requests]
    sort, array = column.kind, pa.array([], pa.null())
    match column.kind:
        case "numeric":
            given = [None if value is None else float(value) for value in values]
            array = pa.array(given, pa.float64())
        case "boolean":
            array = pa.array(values, pa.bool_())
        case "categorical":
            texts = pa.array(values, pa.string())
            array = _read(texts, column.trimmed).dictionary_encode()
        case _:
            sort = "datetime"
            array = pa.array(map(_moment, values), pa.timestamp("us"))
    field = pa.field(column.name, array.type, metadata={"sort": sort})
    return load_column(field, pa.chunked_array([array]))


def _read(texts: pa.Array, trimmed: bool) -> pa.Array:
    """Texts as the source of the data would have read them."""
    return pc.utf8_normalize(pc.utf8_trim_whitespace(texts) if trimmed else texts, form="NFC")


def _moment(text: str | None) -> datetime | None:
    """The time of a text, without its zone; with a zone it is taken in UTC."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _row(columns: dict[str, Feature], place: int) -> dict[str, Feature]:
    return {
        name: Feature(name=name, sort=column.sort, values=column.values[place : place + 1])
        for name, column in columns.items()
    }
