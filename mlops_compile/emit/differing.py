"""Differences between a bundle and what it was made of: the sentence that refuses it, and where a
difference begins."""

from __future__ import annotations

import contextlib
import math
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any, cast

import numpy as np
import pandas as pd

from mlops_compile.emit.fitted import Fitted, Request
from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map
from mlops_compile.steps.applied import Prepared, matrix
from mlops_compile.steps.preparations.kind import Feature


def refusal(message: str, error: Exception | None = None) -> StepError:
    """The bundle is refused."""
    cause = f": {type(error).__name__}: {error}" if error is not None else ""
    text = f"{message}{cause}; the bundle is refused"
    return StepError([problem("bundle", text, hint="this is a bug of mlops_compile")])


def compare(
    answer: Sequence[float],
    truth: Sequence[float],
    row: str,
    who: str,
    model: str = "evaluated",
    begins: Callable[[], str] = lambda: "",
) -> None:
    """StepError unless all numbers are the same; a NaN is the same as a NaN. `begins` says where
    a difference begins."""
    if len(answer) != len(truth):
        raise refusal(f"{who} gives {len(answer)} numbers, not {len(truth)}")
    for found, right in zip(answer, truth, strict=True):
        if found != right and (found == found or right == right):
            told = f"{who} answers {found!r} for {row}, and the {model} model {right!r}"
            raise refusal(told + begins())


def name_of(scorer: Any) -> str:
    """Which of the scorers it is."""
    language = getattr(scorer, "language", "")
    return f"the generated scorer in {language}" if language else "the generated service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Tells where a difference begins, by the pipeline that was fitted and the bundle's module that
    answers."""

    spec: ServingSpec
    fitted: Fitted
    module: ModuleType

    def of_scores(self, scorer: Any, request: Request, record: object) -> str:
        """Of different scores for a request, or of a scorer that fails at it: the column and its
        step, else the scorer or the calibration."""
        prepared = self.fitted.prepared([request])
        if told := self._of_features(prepared, record):
            return told
        step = "the scorer"
        if self.spec.calibration:
            with contextlib.suppress(Exception):  # of the scorer, which is told then
                own = self.module.Model.scores(scorer, [record])[0]
                raw = self.fitted.raw(matrix(prepared))[0].tolist()
                step = "the calibration" if all(map(_same, own, raw)) else step
        return f": its features are the same, so that the difference begins in {step}"

    def of_features(self, request: Request, record: object) -> str:
        """Of different features of a request: the column and its step."""
        return self._of_features(self.fitted.prepared([request]), record)

    def of_label(self) -> str:
        """Of a class that differs where scores do not."""
        step = "the choice of the class" if self.spec.threshold is None else "the threshold"
        return f": the scores are the same, so that the difference begins in {step}"

    def _of_features(self, prepared: list[Prepared], record: object) -> str:
        variables = _variables(self.module.features, record)
        for column in prepared:
            for variable, feature, step in self._steps(column):
                found, right = variables.get(variable, _NOTHING), _value(feature)
                if not _same(found, right):
                    return self._told(column.column.name, step, found, right)
        with contextlib.suppress(Exception):  # what fails is told of its column above
            row = zip(self.module.features(record), matrix(prepared)[0].tolist(), strict=True)
            for place, (found, right) in enumerate(row):
                if not _same(found, right):
                    name = self.spec.origins[place]
                    return self._told(name, "the order of the features", found, right)
        return ""

    def _steps(self, column: Prepared) -> Iterator[tuple[str, Feature, str]]:
        """The variables of the generated code in order, each with what the fitted preparation has
        in its place, and with its step."""
        name = column.column.name
        attributes = {own.name: own.attribute for own in self.spec.columns}
        attributes |= {own.name: own.attribute for own in self.spec.derived}
        attribute = attributes[name]
        first = "the derivation" if column.derived else "the reading of the field"
        yield attribute, column.column, first
        count = 0
        for operation, features in column.stages:
            for feature in features:
                yield f"{attribute}_{count}", feature, f"the preparation {operation!r}"
                count += 1

    def _told(self, name: str, step: str, found: object, right: object) -> str:
        told = f": the difference begins in column {name!r}, in {step}"
        if name in self._hidden():
            return told
        what = "nothing" if found is _NOTHING else repr(found)
        return f"{told}, which makes {what} in place of {right!r}"

    def _hidden(self) -> set[str]:
        """The columns of which no value is told."""
        hidden = {*self.spec.served.sensitive}
        for entry in cast(tuple[Map, ...], self.fitted.preparation.get("derived", ())):
            if hidden & {*cast(tuple[str, ...], entry["inputs"])}:
                hidden.add(str(entry["name"]))
        return hidden


_NOTHING = object()  # that the code has not come to


def _variables(function: Any, record: object) -> dict[str, Any]:
    """The local variables of a function of generated code, as they stand when it ends or fails."""
    found: dict[str, Any] = {}

    def keep(frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is function.__code__:
            found.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(keep)
    try:
        with contextlib.suppress(Exception):
            function(record)
    finally:
        sys.setprofile(before)
    return found


def _value(feature: Feature) -> Any:
    """The first value of a feature, as generated code has it."""
    values = feature.values
    if isinstance(values, pd.Categorical):
        return None if values.codes[0] < 0 else str(values.categories[values.codes[0]])
    return np.asarray(values).tolist()[0]


def _same(found: object, right: object) -> bool:
    if isinstance(found, float) and isinstance(right, float):
        both = math.isnan(found) and math.isnan(right)
        return both or struct.pack("d", found) == struct.pack("d", right)
    return found == right
