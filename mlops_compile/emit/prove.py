"""Proves a bundle: on held-out rows it answers as the evaluated model did, and on hostile records
as the fitted pipeline does, bit for bit."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from mlops_compile.emit.differing import Origin, compare, name_of, refusal
from mlops_compile.emit.fitted import Fitted, Request
from mlops_compile.emit.held_out import held_out
from mlops_compile.emit.loaded import Loaded, load
from mlops_compile.emit.prove_hostile import most_rows, prove_records, prove_rows
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.functions import imported
from mlops_compile.steps.targets import TARGETS

_MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a bundle is compared with: the held-out rows of the validated table and the evaluated
    predictions, and the fitted pipeline."""

    bundle: Path
    table: Path
    predictions: Path
    fitted: Fitted


def prove(spec: ServingSpec, proof: Proof) -> float:
    """Replay held-out rows as requests; the median seconds that a row alone takes from its JSON to
    the answer. StepError at the first difference, with the column and the step that it begins in.

    All rows are replayed up to 20,000, beyond that so many, evenly spaced: each in a request of its
    own, and the first of them once more in one request. Scorers of trees are proved in C, where a
    compiler is here, and in Python. On hostile records, and of trees on hostile rows of features,
    they must answer as the fitted pipeline does. The user's functions are imported from the bundle,
    whatever else here has their names.
    """
    path = [*sys.path]
    try:
        with imported(dict(spec.carried.files)), tempfile.TemporaryDirectory() as scratch:
            loaded = load(spec, proof.bundle, Path(scratch))
            for scorer in loaded.scorers if spec.trees else ():
                prove_rows(spec, proof.fitted, scorer)
            seconds = _replay(spec, proof, loaded, Path(scratch))
            prove_records(spec, proof.fitted, loaded, proof.bundle, Path(scratch))
            return seconds
    finally:
        sys.path[:] = path  # to which the scorer adds its directory of functions


def _replay(spec: ServingSpec, proof: Proof, loaded: Loaded, scratch: Path) -> float:
    names = [column.name for column in spec.columns]
    files = (proof.table, proof.predictions)
    held = held_out(*files, names, spec.contract.classes, _MOST_ROWS)
    numbers, wanted, labels = held.places, held.scores, held.labels
    scorer, *others = loaded.scorers
    origin = Origin(spec=spec, fitted=proof.fitted, module=loaded.module)
    records: list[Any] = []
    seconds = []
    for number, row, truth, label in zip(numbers, held.requests, wanted, labels, strict=True):
        record = None
        try:
            sent = msgspec.json.encode(row)
            start = time.perf_counter()
            record = loaded.decoder.decode(sent)
            answer = scorer.scores([record])[0]
            said = loaded.answer(answer)["prediction"]
            seconds.append(time.perf_counter() - start)
        except Exception as error:
            what = f": {error}" if not held.hidden else ""  # it may quote the row
            begins = origin.of_scores(scorer, row, record) if record is not None else ""
            told = f"the generated service fails at {_row(number)}: {type(error).__name__}{what}"
            raise refusal(told + begins) from None
        records.append(record)
        _compare(answer, truth, number, origin, scorer, row, record)
        if label is not None and said != label:
            told = f"the generated service answers {said!r} for {_row(number)}, and {label!r} is"
            raise refusal(f"{told} right{origin.of_label()}")
    together = [(scorer, records[: spec.max_records])]
    together += [(other, records[: most_rows(spec, _MOST_ROWS)]) for other in others]
    for each, taken in together:
        answers = each.scores(taken)
        several = zip(numbers, answers, wanted, held.requests, taken, strict=False)
        for number, answer, truth, row, record in several:
            _compare(answer, truth, number, origin, each, row, record)
    if differences := TARGETS[spec.target].differences:
        most = _MOST_ROWS if others else most_rows(spec, _MOST_ROWS)
        rows = (held.requests[:most], wanted[:most], labels[:most])
        for sentence in differences(proof.bundle, scratch, spec.contract, *rows):
            raise refusal(sentence)
    return median(seconds)


def _compare(
    answer: Sequence[float],
    truth: Sequence[float],
    number: int,
    origin: Origin,
    scorer: Any,
    request: Request,
    record: Any,
) -> None:
    compare(
        answer,
        truth,
        _row(number),
        name_of(scorer),
        begins=lambda: origin.of_scores(scorer, request, record),
    )


def _row(number: int) -> str:
    return f"row {number + 1} of the validated table"
