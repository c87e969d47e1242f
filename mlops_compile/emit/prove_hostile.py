"""Proves a bundle on what is hostile: rows of features at its trees, and records at all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mlops_compile.emit.differing import Origin, compare, name_of, refusal
from mlops_compile.emit.fitted import Answered, Fitted, Request
from mlops_compile.emit.hostile import hostile_rows
from mlops_compile.emit.hostile_records import hostile_records
from mlops_compile.emit.loaded import Loaded
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.applied import matrix
from mlops_compile.steps.targets import TARGETS

_ROWS, _RECORDS = 2_000, 500
# A scorer in Python meets so many leaves in all, most of them on rows that are not theirs.
_MOST_LEAVES = 200_000_000


def most_rows(spec: ServingSpec, most: int) -> int:
    """How many rows a scorer in Python takes in good time."""
    if spec.trees is None:
        return most
    return max(200, min(most, _MOST_LEAVES // spec.trees.leaves))


def prove_rows(spec: ServingSpec, fitted: Fitted, scorer: Any, count: int = _ROWS) -> None:
    """Compare a scorer of trees with the fitted model on hostile rows of features, one by one and
    together; StepError where they differ."""
    assert spec.trees is not None
    rows = hostile_rows(spec.trees, most_rows(spec, count))
    expected = fitted.raw(np.array(rows)).tolist()
    for how, found in (
        ("alone", lambda: [scorer.answers([row])[0] for row in rows]),
        ("among others", lambda: scorer.answers(rows)),
    ):
        try:
            answers = found()
        except Exception as error:
            raise refusal(f"{name_of(scorer)} fails at hostile rows {how}", error) from error
        for number, (answer, truth) in enumerate(zip(answers, expected, strict=True)):
            row = f"hostile row {number + 1} {how}"
            compare(answer, truth, row, name_of(scorer), "fitted", lambda: ", in the scorer")


def prove_records(
    spec: ServingSpec, fitted: Fitted, loaded: Loaded, bundle: Path, scratch: Path,
    count: int = _RECORDS, seed: int = 0,
) -> None:  # fmt: skip
    """Compare what the bundle answers to hostile records, one by one and together, with what the
    fitted pipeline does; what the one refuses, the other must too. StepError where they differ."""
    count = most_rows(spec, count)
    requests = hostile_records(spec, fitted.preparation, count, seed=seed)
    wanted = fitted.answers(requests)
    records = [*_records(loaded, requests)]
    origin = Origin(spec=spec, fitted=fitted, module=loaded.module)
    taken = [number for number, truth in enumerate(wanted) if truth is not None]
    for scorer in loaded.scorers:
        for number, request in enumerate(requests):
            _alone(loaded, origin, scorer, number, request, records[number], wanted[number])
        answers = scorer.scores([records[number] for number in taken])
        for number, answer in zip(taken, answers, strict=True):
            truth, row = wanted[number], f"{_name(number)} among others"
            assert truth is not None
            compare(answer, truth.scores, row, name_of(scorer), "fitted")
    _features(origin, [(number, requests[number], records[number]) for number in taken])
    if differences := TARGETS[spec.target].differences:
        kept = [(r, t) for r, t in zip(requests, wanted, strict=True) if _is_answered(t)]
        rows = ([r for r, _ in kept], [t.scores for _, t in kept], [t.label for _, t in kept])  # type: ignore[union-attr]
        for sentence in differences(bundle, scratch, spec.contract, *rows, sorts=_SORTS):
            raise refusal(f"of hostile records, {sentence}")


_SORTS = (("jsonl", "jsonl"),)  # the one sort of file that holds any text as it is


def _is_answered(answered: Answered | None) -> bool:
    return answered is not None and bool(np.isfinite(answered.scores).all())


def _records(loaded: Loaded, requests: list[Request]) -> Iterator[Any]:
    """The records that the bundle reads of requests."""
    for number, request in enumerate(requests):
        try:
            yield loaded.decoder.decode(msgspec.json.encode(request))
        except msgspec.ValidationError as error:
            raise refusal(f"the generated service does not take {_name(number)}", error) from error


def _alone(
    loaded: Loaded,
    origin: Origin,
    scorer: Any,
    number: int,
    request: Request,
    record: Any,
    wanted: Answered | None,
) -> None:
    row = f"{_name(number)} alone"
    try:
        scores = scorer.scores([record])[0]
    except Exception as error:
        if wanted is None:
            return
        told = f"{name_of(scorer)} fails at {row}: {type(error).__name__}"
        raise refusal(told + origin.of_scores(scorer, request, record)) from None
    if wanted is None:
        if np.isfinite(scores).all():
            message = f"{name_of(scorer)} answers {row}, which the fitted pipeline refuses"
            raise refusal(message)
        return
    compare(
        scores, wanted.scores, row, name_of(scorer), "fitted",
        lambda: origin.of_scores(scorer, request, record),
    )  # fmt: skip
    if wanted.label is not None and loaded.answer(scores)["prediction"] != wanted.label:
        said = loaded.answer(scores)["prediction"]
        told = f"the generated service answers {said!r} for {row}, and {wanted.label!r} is right"
        raise refusal(told + origin.of_label())


def _features(origin: Origin, taken: list[tuple[int, Request, Any]]) -> None:
    """Compare the features of records, of which some may change no answer."""
    rows = matrix(origin.fitted.prepared([request for _, request, _ in taken])).tolist()
    for (number, request, record), row in zip(taken, rows, strict=True):
        for found, right in zip(origin.module.features(record), row, strict=True):
            if found != right and (found == found or right == right):
                told = f"the generated service prepares {_name(number)} otherwise"
                raise refusal(told + origin.of_features(request, record))


def _name(number: int) -> str:
    return f"hostile record {number + 1}"
