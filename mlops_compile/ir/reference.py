"""Reference: what a model's data and answers were like when it was made, for monitoring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlops_compile.ir.serving import KINDS
from mlops_compile.ir.value import Map, Value

# The file of a bundle that holds it.
FILE = "reference.json"
FORMAT = 1
# What is answered, beside the columns, whose names it is never among.
SCORE = "(prediction)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReference:
    """What the rows to learn from had in a column, or what the model answered for the test rows.

    `rows` are all rows, `missing` those without a value. Numbers, and times as seconds since 1970:
    `low`, `high` and the standard `deviation` of all values, `counts` of the bins below, between
    and beyond the increasing inner `edges` (a value that is an edge lies in the bin above), and a
    `sample`: distinct values in order, each with how often it stands in it, which are all values
    where these are few, else order statistics at even steps. Texts and truth values ("true",
    "false"): `levels` with their rows, the most frequent first, and how many rows have `other`
    levels. Nothing but `rows` and `missing` is told of a column that is `sensitive`.
    """

    name: str
    kind: str
    rows: int
    missing: int
    sensitive: bool = False
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    sample: tuple[tuple[float, int], ...] = ()
    levels: tuple[tuple[str, int], ...] = ()
    other: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of a column")
        if not 0 <= self.missing <= self.rows:
            raise ValueError(f"{self.name}: {self.missing} of {self.rows} rows are missing")
        if self.counts and len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{self.name}: {len(self.counts)} bins of {len(self.edges)} edges")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"{self.name}: edges that do not increase")

    @property
    def is_time(self) -> bool:
        """Whether it is one of times, which move on."""
        return self.kind.startswith("datetime")

    @property
    def is_number(self) -> bool:
        """Whether it is one of numbers or times."""
        return self.kind not in ("categorical", "boolean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Of test rows whose score for a class is about `score`, on average: so many `rows`, of which
    so many were `true`."""

    score: float
    rows: int
    true: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What monitoring compares with.

    `columns` are those of the contract, on the rows to learn from. `score` is what was answered for
    the test rows: the probability of the positive class, the class that was answered (of several),
    or the number; `truth` is their target (a class's name, or the number). `calibration` has, for
    each class (of a binary task the positive one alone), its bins in order of the score. `metrics`
    are those of the test rows; `segments` has, by column, `levels`: each with its `rows` and
    `metrics`.
    `threshold` is that from which on the answer is the positive class. `options` are the numbers
    that some of the metrics take, as the keys of `evaluate.options`.
    """

    task: str
    target: str
    classes: tuple[str, ...]
    primary: str
    columns: tuple[ColumnReference, ...]
    score: ColumnReference
    truth: ColumnReference
    metrics: Map
    calibration: tuple[tuple[Calibration, ...], ...] = ()
    segments: Map = field(default_factory=Map)
    threshold: float | None = None
    options: Map = field(default_factory=Map)

    def to_dict(self) -> Map:
        """As a document of format 1."""
        return Map(
            {
                "format": FORMAT,
                "task": self.task,
                "target": self.target,
                "classes": self.classes,
                "primary": self.primary,
                "threshold": self.threshold,
                "columns": tuple(_told(column) for column in self.columns),
                "score": _told(self.score),
                "truth": _told(self.truth),
                "calibration": tuple(
                    tuple(Map({"score": b.score, "rows": b.rows, "true": b.true}) for b in bins)
                    for bins in self.calibration
                ),
                "metrics": self.metrics,
                "segments": self.segments,
                "options": self.options,
            }
        )


def reference_of(document: Value) -> Reference:
    """A reference from its document. ValueError where it is none of format 1."""
    if not isinstance(document, Map) or document.get("format") != FORMAT:
        raise ValueError("not a reference of format 1")
    held: Any = document
    try:
        return Reference(
            task=held["task"],
            target=held["target"],
            classes=held["classes"],
            primary=held["primary"],
            threshold=held["threshold"],
            columns=tuple(map(_column, held["columns"])),
            score=_column(held["score"]),
            truth=_column(held["truth"]),
            calibration=tuple(
                tuple(Calibration(**bin_) for bin_ in bins) for bins in held["calibration"]
            ),
            metrics=held["metrics"],
            segments=held["segments"],
            options=held.get("options", Map()),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a whole reference: {error}") from None


_NAMES = (
    "name",
    "kind",
    "rows",
    "missing",
    "sensitive",
    "low",
    "high",
    "deviation",
    "edges",
    "counts",
    "sample",
    "levels",
    "other",
)
_ALWAYS = ("name", "kind", "rows", "missing")


def _told(column: ColumnReference) -> Map:
    held = {name: getattr(column, name) for name in _NAMES}
    return Map({name: value for name, value in held.items() if name in _ALWAYS or _says(value)})


def _says(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _column(held: Any) -> ColumnReference:
    return ColumnReference(**held)
