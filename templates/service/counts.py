"""What the service counts: the samples of its metrics, and how they are added to."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path

import bins
import drift
import observed
from bundle import Bundle
from metrics import MARK, MARKED, SECONDS, Histogram, Sample, Values, buckets, written

STATUSES = (200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503)
HTTP, TIME = "mlops_http_requests_total", "mlops_http_request_duration_seconds"
SCORE = "mlops_prediction_score"
DROPPED = "mlops_log_dropped_total"
# The columns whose values are counted, by the family of the counts, as observed.py counts them.
COLUMNS = {
    "mlops_values_missing_total": observed.MISSING,
    "mlops_values_unseen_total": observed.UNSEEN,
    "mlops_values_out_of_range_total": observed.BEYOND,
}


class Counts:
    """The numbers of a service."""

    def __init__(
        self, bundle: Bundle, paths: list[str], timed: list[str], shared: Path | None
    ) -> None:
        """Answers are counted by `paths`, and how long they took by those that are `timed`."""
        facts = bundle.facts
        self._classes = facts["contract"]["response"].get("classes", [])
        self._edges = (*facts["edges"], inf)
        names = ("name", "family", "model", "plan")
        fact = [(name, str(facts[name])) for name in names] + [("bundle", bundle.digest)]
        self._values = Values([*self._samples(paths, timed, fact)], shared)
        places, self._numbers = self._values.places, self._values.numbers
        self._http = {
            (path, status): places[_http(path, status)] for path in paths for status in STATUSES
        }
        self._times = {
            path: Histogram(self._values, TIME, (("path", path),), SECONDS) for path in timed
        }
        self._scores = Histogram(self._values, SCORE, (), self._edges)
        # With no classes, one number counts all.
        self._predicted = {name: places[_predicted(name)] for name in self._classes or (None,)}
        self._place = {name: places[name, ()] for name in _SINGLE}
        self._dropped = {why: places[DROPPED, (("reason", why),)] for why in ("full", "failed")}
        self.columns = tuple(
            self._span([(family, (("column", name),)) for name in names])
            for family, names in COLUMNS.items()
        )
        self.bins = self._span(drift.samples(MARKED))
        self._window = drift.Window(self.bins, self._span(drift.samples(MARK)))
        self._numbers[self._place["mlops_workers"]] = 1.0
        self._numbers[places["mlops_bundle_info", tuple(fact)]] = 1.0

    def _samples(
        self, paths: list[str], timed: list[str], fact: list[tuple[str, str]]
    ) -> Iterator[Sample]:
        yield from (_http(path, status) for path in paths for status in STATUSES)
        for path in timed:
            yield from buckets(TIME, (("path", path),), SECONDS)
        yield from map(_predicted, self._classes or (None,))
        yield from buckets(SCORE, (), self._edges)
        for family, names in COLUMNS.items():
            yield from ((family, (("column", name),)) for name in names)
        yield from drift.samples(MARKED)
        yield from drift.samples(MARK)
        yield from ((name, ()) for name in _SINGLE)
        yield from ((DROPPED, (("reason", why),)) for why in ("full", "failed"))
        yield "mlops_bundle_info", tuple(fact)

    def _span(self, samples: list[Sample]) -> memoryview:
        """The numbers of samples that lie side by side."""
        first = self._values.places[samples[0]] if samples else 0
        return self._numbers[first : first + len(samples)]

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._numbers[self._http[path, status]] += 1.0
        if path in self._times:
            self._times[path].add(seconds)

    def loaded(self, proved: bool) -> None:
        self._numbers[self._place["mlops_unproved"]] = float(not proved)

    def under_way(self, more: int) -> None:
        self._numbers[self._place["mlops_http_requests_in_progress"]] += more

    def predicted(self, answers: list[dict]) -> None:
        """Count answers by class, and their scores; records were counted by their bins before."""
        self._window.count(len(answers))
        for answer in answers:
            if not self._classes:
                self._numbers[self._predicted[None]] += 1.0
                self._scores.add(answer["prediction"])
                continue
            label = answer["prediction"]
            self._numbers[self._predicted[label]] += 1.0
            score = answer.get("probability")
            self._scores.add(answer["probabilities"][label] if score is None else score)

    def logged(self, what: str, records: int) -> None:
        """Count records that were `written` to the log, `failed` to be, or found it `full`; note
        how many are `queued`."""
        if what == "queued":
            self.queued(records)
            return
        single = self._place["mlops_log_records_total"]
        self._numbers[single if what == "written" else self._dropped[what]] += records

    def queued(self, records: int) -> None:
        self._numbers[self._place["mlops_log_queued"]] = records

    def fed_back(self, records: int) -> None:
        self._numbers[self._place["mlops_feedback_total"]] += records

    def text(self) -> str:
        """What Prometheus reads."""
        found = self._values.all()
        return written({**found, **drift.measured(found)})


_SINGLE = (
    "mlops_http_requests_in_progress",
    "mlops_log_records_total",
    "mlops_log_queued",
    "mlops_feedback_total",
    "mlops_workers",
    "mlops_unproved",
)


def _http(path: str, status: int) -> Sample:
    return HTTP, (("path", path), ("status", str(status)))


def _predicted(name: str | None) -> Sample:
    return "mlops_predictions_total", () if name is None else (("class", name),)
