"""Proves a bundle: on the held-out rows it answers as the evaluated model did, bit for bit; its
scorers of trees do so on hostile rows of features too."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from mlops_compile.emit.held_out import held_out
from mlops_compile.emit.hostile import hostile_rows
from mlops_compile.emit.modules import module_of
from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.functions import imported
from mlops_compile.steps.targets import TARGETS

_MOST_ROWS = 20_000
_HOSTILE_ROWS = 2_000
# A scorer in Python meets so many leaves in all, most of them on rows that are not theirs.
_MOST_LEAVES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a bundle is compared with: the held-out rows of the validated table and the evaluated
    predictions, and the fitted model, by its directory and by what reads it."""

    bundle: Path
    table: Path
    predictions: Path
    model: Path
    predict: Callable[[Path, Any, int], Any]


def prove(spec: ServingSpec, proof: Proof) -> float:
    """Replay held-out rows as requests; the median seconds that a row alone takes from its JSON to
    the answer. StepError at the first difference.

    All rows are replayed up to 20,000, beyond that so many, evenly spaced: each in a request of its
    own, and the first of them once more in one request. Scorers of trees are proved in C, where a
    compiler is here, and in Python; on hostile rows of features they must answer as the fitted
    model. The user's functions are imported from the bundle, whatever else here has their names.
    """
    path = [*sys.path]
    try:
        with imported(dict(spec.carried.files)), tempfile.TemporaryDirectory() as scratch:
            loaded = _load(spec, proof.bundle, Path(scratch))
            for scorer in loaded.scorers if spec.trees else ():
                _hostile(spec, proof, scorer)
            return _replay(spec, proof, loaded, Path(scratch))
    finally:
        sys.path[:] = path  # to which the scorer adds its directory of functions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """The bundle's own reader of a record, its scorers, the one that serves first, and what makes
    an answer of scores."""

    decoder: msgspec.json.Decoder[Any]
    scorers: tuple[Any, ...]
    answer: Callable[[list[float]], dict[str, Any]]


def _hostile(spec: ServingSpec, proof: Proof, scorer: Any) -> None:
    """Compare a scorer with the fitted model on hostile rows, one by one and together."""
    assert spec.trees is not None
    rows = hostile_rows(spec.trees, _count(spec, _HOSTILE_ROWS))
    with np.errstate(all="ignore"):
        wanted = proof.predict(proof.model, np.array(rows), spec.trees.classes)
    expected = wanted.reshape(len(rows), -1).tolist()
    for how, found in (
        ("alone", lambda: [scorer.answers([row])[0] for row in rows]),
        ("among others", lambda: scorer.answers(rows)),
    ):
        try:
            answers = found()
        except Exception as error:
            raise _refusal(f"{_name(scorer)} fails at hostile rows {how}", error) from error
        for number, (answer, truth) in enumerate(zip(answers, expected, strict=True)):
            _compare(answer, truth, f"hostile row {number + 1} {how}", _name(scorer), "fitted")


def _count(spec: ServingSpec, most: int) -> int:
    """How many rows a scorer in Python takes in good time."""
    assert spec.trees is not None
    return max(200, min(most, _MOST_LEAVES // spec.trees.leaves))


def _name(scorer: Any) -> str:
    """Which of the two scorers of trees it is."""
    language = getattr(scorer, "language", "")
    return f"the generated scorer in {language}" if language else "the generated service"


def _replay(spec: ServingSpec, proof: Proof, loaded: _Loaded, scratch: Path) -> float:
    names = [column.name for column in spec.columns]
    files = (proof.table, proof.predictions)
    held = held_out(*files, names, spec.contract.classes, _MOST_ROWS)
    numbers, wanted, labels = held.places, held.scores, held.labels
    scorer, *others = loaded.scorers
    records, seconds = [], []
    for number, row, truth, label in zip(numbers, held.requests, wanted, labels, strict=True):
        try:
            sent = msgspec.json.encode(row)
            start = time.perf_counter()
            records.append(loaded.decoder.decode(sent))
            answer = scorer.scores(records[-1:])[0]
            said = loaded.answer(answer)["prediction"]
            seconds.append(time.perf_counter() - start)
        except Exception as error:
            message = f"the generated service fails at {_row(number)}"
            if held.hidden:  # the error may quote the row
                raise _refusal(f"{message}: {type(error).__name__}") from None
            raise _refusal(message, error) from error
        _compare(answer, truth, _row(number), _name(scorer))
        if label is not None and said != label:
            raise _refusal(
                f"the generated service answers {said!r} for {_row(number)}, and {label!r} is right"
            )
    together = [(scorer, records[: spec.max_records])]
    together += [(other, records[: _count(spec, _MOST_ROWS)]) for other in others]
    for each, taken in together:
        for number, truth, answer in zip(numbers, wanted, each.scores(taken), strict=False):
            _compare(answer, truth, _row(number), _name(each))
    if differences := TARGETS[spec.target].differences:
        most = _MOST_ROWS if spec.trees is None or others else _count(spec, _MOST_ROWS)
        rows = (held.requests[:most], wanted[:most], labels[:most])
        for sentence in differences(proof.bundle, scratch, spec.contract, *rows):
            raise _refusal(sentence)
    return median(seconds)


def _compare(
    answer: Sequence[float], truth: Sequence[float], row: str, who: str, model: str = "evaluated"
) -> None:
    """StepError unless all numbers are the same; a NaN is the same as a NaN."""
    if len(answer) != len(truth):
        raise _refusal(f"{who} gives {len(answer)} numbers, not {len(truth)}")
    for found, right in zip(answer, truth, strict=True):
        if found != right and (found == found or right == right):
            raise _refusal(f"{who} answers {found!r} for {row}, and the {model} model {right!r}")


def _load(spec: ServingSpec, bundle: Path, scratch: Path) -> _Loaded:
    """The bundle's code, with the scorer in C first, where there is one. What is compiled is kept
    in `scratch`."""
    try:
        record = module_of(bundle, "schema").Record
        module = module_of(bundle, "scorer")
        if spec.trees is None:
            scorers = (module.Scorer(bundle),)
        else:
            scorers = (*_in_c(module, bundle, scratch), module.Scorer(bundle, False))
    except Exception as error:
        raise _refusal("the generated service cannot be loaded", error) from error
    return _Loaded(decoder=msgspec.json.Decoder(record), scorers=scorers, answer=module.answer)


# What any compiler takes that can compile scorers.
_PROBE = b"#include <math.h>\ndouble of(double x) { return exp(x); }\n"


def _in_c(module: ModuleType, bundle: Path, scratch: Path) -> tuple[Any, ...]:
    """The scorer in C; nothing where no compiler works. What else stops it is raised."""
    said, place = io.StringIO(), scratch / "mlops_compile" / "scorers"  # as in a cache's directory
    with contextlib.redirect_stderr(said):
        scorer = module.Scorer(bundle, True, [place])
    if scorer.language == "C":
        return (scorer,)
    try:
        module.build(module.compiler(), _PROBE, "probe", place)
    except module.Uncompiled:
        return ()
    raise ValueError(said.getvalue().strip())


def _row(number: int) -> str:
    return f"row {number + 1} of the validated table"


def _refusal(message: str, error: Exception | None = None) -> StepError:
    cause = f": {type(error).__name__}: {error}" if error is not None else ""
    text = f"{message}{cause}; the bundle is refused"
    return StepError([problem("bundle", text, hint="this is a bug of mlops_compile")])
