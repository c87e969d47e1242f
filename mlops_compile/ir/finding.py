"""Finding: one thing that monitoring measured, what it may be, and whether it is an alert."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.value import Map

# What a finding is about, in the order in which findings are told.
KINDS = (
    "volume",  # how many rows were asked
    "type",  # values that are not of the column's type
    "missing",
    "range",  # numbers beyond those of the data
    "unseen",  # levels that the data had not
    "drift",  # of a column
    "dataset",  # how many columns drifted
    "score",  # drift of what is answered
    "truth",  # drift of what turned out to be true
    "estimate",  # performance that is estimated without labels
    "performance",
    "segment",  # performance of a level of a column
    "latency",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A measured `value` of a `test` beside the `threshold` from which on it is an alert (None: it
    is told only, or its `p` decides), and what it was in the `reference`. `p` is a test's p-value,
    corrected for many columns; `low` to `high` is the band in which a metric lies. `feature` is a
    column, a level of one as `column=level`, or None; `message` says it all as a sentence for a
    person."""

    kind: str
    test: str
    value: float | None
    alert: bool
    message: str
    feature: str | None = None
    threshold: float | None = None
    reference: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of a finding")

    def to_dict(self) -> Map:
        names = (
            "kind",
            "feature",
            "test",
            "value",
            "threshold",
            "reference",
            "p",
            "low",
            "high",
            "alert",
            "message",
        )
        return Map({name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The shares of a column's bins or levels, as they were `before` and are `now`."""

    name: str
    labels: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.before) == len(self.now):
            raise ValueError(f"{self.name}: shares of other bins")
