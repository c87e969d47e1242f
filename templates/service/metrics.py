"""Metrics in Prometheus' text format, added up over the worker processes.

Each process has numbers of its own, in a file that the others read; who asks one of them gets the
sum of all. What processes counted that have ended stays in it.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Iterator
from math import inf
from pathlib import Path

# A sample's name and labels.
Sample = tuple[str, tuple[tuple[str, str], ...]]

# Kinds: a gauge's numbers are summed over the processes that live, a counter's over all there were;
# of a fact there is one. A mark is what a counter had when a window began, and is not told.
FAMILIES = {
    "mlops_http_requests_total": ("counter", "Answers by path and status."),
    "mlops_http_request_duration_seconds": ("histogram", "Time to an answer."),
    "mlops_http_requests_in_progress": ("gauge", "Requests that are being answered."),
    "mlops_predictions_total": ("counter", "Records answered, by the class that was predicted."),
    "mlops_prediction_score": (
        "histogram",
        "Probabilities of the positive class, of the predicted one of several, or the number.",
    ),
    "mlops_values_missing_total": ("counter", "Values that were missing, by column."),
    "mlops_values_unseen_total": ("counter", "Levels that the data had not, by column."),
    "mlops_values_out_of_range_total": ("counter", "Values beyond those of the data, by column."),
    "mlops_values_total": ("counter", "Values by column and bin of the reference."),
    "mlops_reference_share": (
        "fact",
        "Shares of the values that the reference has in a bin; of its rows, those that are missing.",
    ),
    "mlops_drift_psi": ("fact", "Population stability index of the latest values, by column."),
    "mlops_drift_values": ("fact", "How many these are."),
    "mlops_log_records_total": ("counter", "Predictions that were written to the log."),
    "mlops_log_dropped_total": ("counter", "Predictions that were not, and why."),
    "mlops_log_queued": ("gauge", "Predictions that wait to be written."),
    "mlops_feedback_total": ("counter", "Truths that were kept."),
    "mlops_workers": ("gauge", "Processes that answer."),
    "mlops_bundle_info": ("fact", "What is served."),
    "mlops_unproved": ("fact", "1: this host answers otherwise than where it was packaged."),
    "mlops_values_mark": ("mark", ""),
}
MARKED, MARK = "mlops_values_total", "mlops_values_mark"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, inf)
ENDED = "ended.json"


class Values:
    """The numbers of this process: `numbers[place]` of the samples at their places."""

    def __init__(self, samples: Iterable[Sample], directory: Path | None) -> None:
        self.places = {sample: place for place, sample in enumerate(samples)}
        head = json.dumps([*self.places]).encode("ascii")
        start = -(-(len(head) + 1) // 8) * 8
        size = start + 8 * len(self.places)
        self.directory = directory
        if directory is None:
            self._map = mmap.mmap(-1, size)
        else:
            path = directory / f"{os.getpid()}.new"
            path.write_bytes(head.ljust(start - 1) + b"\n" + bytes(size - start))
            with open(path, "r+b") as file:
                self._map = mmap.mmap(file.fileno(), size)
            path.rename(directory / f"{os.getpid()}.values")
        self.numbers = memoryview(self._map)[start:].cast("d")

    def own(self) -> dict[Sample, float]:
        return dict(zip(self.places, self.numbers))

    def all(self) -> dict[Sample, float]:
        """The samples of this process alone, or of all in the directory."""
        return self.own() if self.directory is None else total(self.directory)


class Histogram:
    """A histogram's buckets, whose edges ascend to infinity, and their sum."""

    def __init__(self, values: Values, name: str, labels: tuple, edges: tuple[float, ...]) -> None:
        self._numbers, self._edges = values.numbers, edges
        first, *_, self._sum = (values.places[sample] for sample in buckets(name, labels, edges))
        self._first = first

    def add(self, value: float) -> None:
        place = self._first
        for edge in self._edges:
            if value <= edge:
                break
            place += 1
        self._numbers[place] += 1.0
        self._numbers[self._sum] += value


def buckets(name: str, labels: tuple, edges: tuple[float, ...]) -> Iterator[Sample]:
    """The samples of a histogram: those of its buckets count what lies in each alone."""
    for edge in edges:
        yield f"{name}_bucket", (*labels, ("le", "+Inf" if edge == inf else f"{edge:.12g}"))
    yield f"{name}_sum", labels


def total(directory: Path) -> dict[Sample, float]:
    """The sums over the processes of a directory, and over those that ended."""
    while True:
        ended = _ended(directory)
        found = {(name, _labels(labels)): value for name, labels, value in ended["values"]}
        try:
            for path in sorted(directory.glob("*.values")):
                if path.name not in ended["files"]:
                    _add(found, _read(path))
        except FileNotFoundError:  # a process ended while its numbers were read
            continue
        if _ended(directory) == ended:  # else one did that was in neither
            return found


def end(directory: Path, process: int) -> None:
    """Keep what a process counted that has ended; nothing of it is in a window any more."""
    path = directory / f"{process}.values"
    try:
        numbers = _read(path)
    except FileNotFoundError:
        return
    counted = {s: value for s, value in numbers.items() if _kind(s[0]) in ("counter", "histogram")}
    counted |= {(MARK, labels): value for (name, labels), value in counted.items() if name == MARKED}
    ended = _ended(directory)
    found = {(name, _labels(labels)): value for name, labels, value in ended["values"]}
    _add(found, counted)
    values = [(name, labels, value) for (name, labels), value in found.items()]
    new = directory / f"{ENDED}.new"
    new.write_text(json.dumps({"files": [path.name], "values": values}), "ascii")
    new.replace(directory / ENDED)
    path.unlink()


def _ended(directory: Path) -> dict:
    try:
        return json.loads((directory / ENDED).read_bytes())
    except FileNotFoundError:
        return {"files": [], "values": []}


def _read(path: Path) -> dict[Sample, float]:
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    samples = ((name, _labels(labels)) for name, labels in json.loads(data[:start]))
    return dict(zip(samples, memoryview(data)[start:].cast("d")))


def _labels(pairs: list) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)


def _add(found: dict[Sample, float], more: dict[Sample, float]) -> None:
    for sample, value in more.items():
        is_fact = _kind(sample[0]) == "fact"
        before = found.get(sample, 0.0)
        found[sample] = max(before, value) if is_fact else before + value


def _family(name: str) -> str:
    for ending in ("_bucket", "_sum"):
        if name.removesuffix(ending) in FAMILIES:
            return name.removesuffix(ending)
    return name


def _kind(name: str) -> str:
    return FAMILIES[_family(name)][0]


def written(found: dict[Sample, float]) -> str:
    """Samples as text, family by family. Answers that were never given are left out."""
    families: dict[str, list[tuple[Sample, float]]] = {name: [] for name in FAMILIES}
    for sample, value in found.items():
        families[_family(sample[0])].append((sample, value))
    lines = []
    for name, samples in families.items():
        kind, text = FAMILIES[name]
        if kind == "mark":
            continue
        lines.append(f"# HELP {name} {text}")
        lines.append(f"# TYPE {name} {'gauge' if kind == 'fact' else kind}")
        if kind == "histogram":
            lines += _histograms(name, samples)
        else:
            sparse = name in ("mlops_http_requests_total", "mlops_bundle_info")
            lines += [_line(*sample, value) for sample, value in samples if value or not sparse]
    return "\n".join(lines) + "\n"


def _histograms(name: str, samples: list[tuple[Sample, float]]) -> Iterator[str]:
    """Buckets that count all up to their edge, as Prometheus has them; of labels that were met."""
    sums = {labels: value for (of, labels), value in samples if of == f"{name}_sum"}
    for labels, sum_ in sums.items():
        own = [
            (float(of[-1][1]), of, value)
            for (kind, of), value in samples
            if kind == f"{name}_bucket" and of[:-1] == labels
        ]
        if labels and not any(value for *_, value in own):
            continue
        count = 0.0
        for _, of, value in sorted(own, key=lambda bucket: bucket[0]):
            count += value
            yield _line(f"{name}_bucket", of, count)
        yield _line(f"{name}_sum", labels, sum_)
        yield _line(f"{name}_count", labels, count)


def _line(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    number = int(value) if value == value and abs(value) < 2**53 and value == int(value) else value
    return f"{name}{'{' + inner + '}' if inner else ''} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
