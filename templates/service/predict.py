"""Predictions: records in JSON to answers, with what is counted and logged of them."""

from __future__ import annotations

import asyncio
import math
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import msgspec

import bins
import observed
import schema
import scorer
from bundle import Bundle
from counts import Counts
from problems import Refused, unanswerable, wrong
from proof import proved

# A request of more records than this is scored in a thread, so that others need not wait.
LARGE = 200
# Contributions take their time, in Python: of so many records at once, one request after another.
MOST_EXPLAINED = 100
EXPLAINING = ThreadPoolExecutor(1, "explaining")
# What a function of the user's raises, where the preparation calls any.
_FAILED = getattr(scorer, "FunctionFailed", ())

_one = msgspec.json.Decoder(schema.Record)
_many = msgspec.json.Decoder(list[schema.Record])


class Model:
    """The model of a bundle, loaded and found to answer."""

    def __init__(self, bundle: Bundle, unproved: bool) -> None:
        """`unproved`: even where this host computes other answers than the one that packaged."""
        self._scorer, self.proved = proved(bundle.directory, unproved)
        # What the model is run in: C where that could be compiled, or Python.
        self.language = getattr(self._scorer, "language", "Python")
        self._quiet = bundle.facts["quiet"]
        self.names = [feature["name"] for feature in bundle.facts["features"]]
        self.explains = bundle.facts["explains"]
        # A record of typical values: contributions tell what moves an answer away from its own.
        self._typical = _one.decode((bundle.directory / "example.json").read_bytes())
        self.answers(self._scorer.scores([self._typical]), None)

    def records(self, body: bytes, is_list: bool, most: int) -> list[schema.Record]:
        """The records of a body; Refused for what is none."""
        try:
            found = _many.decode(body) if is_list else [_one.decode(body)]
        except msgspec.ValidationError as error:
            raise wrong(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, "not-json", f"the body is not JSON: {error}") from None
        return self.few(found, most)

    def converted(self, rows: list[dict[str, object]], most: int) -> list[schema.Record]:
        """The records that plain values make."""
        try:
            return self.few(msgspec.convert(rows, list[schema.Record]), most)
        except msgspec.ValidationError as error:
            raise wrong(str(error)) from None

    def few(self, records: list[schema.Record], most: int) -> list[schema.Record]:
        if len(records) > most:
            detail = f"a request may hold {most} records at most"
            raise Refused(413, "too-many-records", detail)
        return records

    def scores(self, records: list[schema.Record], is_list: bool) -> list[list[float]]:
        """Probabilities in the order of the classes, or one number, for each record; Refused where
        there are none. It takes time where there are many."""
        try:
            found = self._scorer.scores(records) if records else []
        except _FAILED as failed:
            raise self._refusal(failed, records, is_list) from None
        for number, row in enumerate(found):
            if not all(map(math.isfinite, row)):
                detail = "the values are too large for this model: its answer is no number"
                raise unanswerable(detail, number if is_list else None)
        return found

    def answers(
        self, scores: list[list[float]], contributions: list[list[list[float]]] | None
    ) -> list[dict[str, object]]:
        """The answers that scores mean, with contributions where there are any."""
        found = [scorer.answer(row) for row in scores]
        for answer, given in zip(found, contributions or ()):
            answer["contributions"] = self._named(given)
        return found

    def _named(self, given: list[list[float]]) -> object:
        """Contributions by feature; of several classes, by class."""
        each = [{"base": row[-1], "features": dict(zip(self.names, row[:-1]))} for row in given]
        return each[0] if len(each) == 1 else dict(zip(scorer.CLASSES, each))

    def contributions(self, records: list[schema.Record]) -> list[list[list[float]]]:
        """What each feature adds to the raw scores of records, then the base that it is added to:
        the score of a record of typical values."""
        if not self.explains:
            detail = "this model has no contributions of features"
            raise Refused(400, "no-contributions", detail)
        return self._scorer.contributions(records, self._typical) if records else []

    def _refusal(self, failed: Exception, records: list[schema.Record], is_list: bool) -> Refused:
        """The client learns which function cannot take which record, the log what it said of it."""
        error = failed.__cause__
        said = type(error).__name__
        if failed.function not in self._quiet:
            said += f": {error}"
        frames = "".join(traceback.format_tb(error.__traceback__))
        print(f"{frames}error: {failed.function} failed: {said}", file=sys.stderr, flush=True)
        number = next((n for n, record in enumerate(records) if _fails(record)), None)
        detail = f"{failed.function} cannot take the values of this record"
        return unanswerable(detail, number if is_list else None)


def _fails(record: schema.Record) -> bool:
    try:
        scorer.features(record)
    except _FAILED:
        return True
    return False


async def aside(
    function: Callable[..., object], *given: object, busy: Callable, threads: Executor | None = None
) -> object:
    """What a function makes of something, in a thread. Who gives up waiting leaves the thread
    behind: `busy(1)` counts it, and `busy(-1)` once it has ended."""
    future = asyncio.get_running_loop().run_in_executor(threads, function, *given)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not future.done():
            busy(1)
            future.add_done_callback(lambda done: (busy(-1), done.cancelled() or done.exception()))
        raise


def observe(records: list[schema.Record], answers: list[dict], counts: Counts) -> None:
    """Count what of records the data had not, and in which bins their values lie."""
    for record, answer in zip(records, answers):
        observed.observe(record, *counts.columns)
        bins.count(record, answer, counts.bins)
