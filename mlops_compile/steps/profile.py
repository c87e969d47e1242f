"""The profile of a column: what reports show of it and monitoring compares it with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops_compile.ir.value import Map, Value

TOP_LEVELS = 20
BINS = 10
_SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BLOCK = 1 << 16


def secret(sort: str, missing: int) -> Map:
    """All that is told of a sensitive column."""
    return Map({"type": sort, "missing": missing, "sensitive": True})


def numeric(numbers: NDArray[np.float64], missing: int) -> Map:
    """The profile of finite numbers: quantiles, moments, and bins that the quantiles fix.

    Sorts the numbers in place.
    """
    facts: dict[str, Value] = {"type": "numeric", "missing": missing}
    if len(numbers):
        mean, deviation = moments(numbers)
        numbers.sort()
        facts |= {
            "distinct": _distinct(numbers),
            "low": float(numbers[0]),
            "high": float(numbers[-1]),
            "mean": mean,
            "deviation": deviation,
            "quantiles": tuple(float(number) for number in _at(numbers, _SHARES)),
            "bins": _bins(numbers, [float(edge) for edge in _edges(numbers)]),
        }
    return Map(facts)


def moments(numbers: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (of the rows, not estimated), by sums in one stated order, so
    that every machine has the same; None where a sum is beyond floats."""
    mean = _sum(numbers, 0.0, 1) / len(numbers)
    if not math.isfinite(mean):
        return None, None
    spread = _sum(numbers, mean, 2) / len(numbers)
    return mean, math.sqrt(spread) if math.isfinite(spread) else None


def _sum(numbers: NDArray[np.float64], less: float, power: int) -> float:
    total = 0.0
    for start in range(0, len(numbers), _BLOCK):
        part = numbers[start : start + _BLOCK] - less
        with np.errstate(over="ignore"):
            total += float(np.cumsum(part * part if power == 2 else part)[-1])
    return total


def levels(names: pa.Array, counts: NDArray[np.int64], missing: int) -> Map:
    """The profile of texts, from their levels in code point order and the rows of each."""
    order = np.argsort(-counts, kind="stable")[:TOP_LEVELS]
    top = names.take(pa.array(order)).to_pylist()
    return Map(
        {
            "type": "categorical",
            "missing": missing,
            "levels": len(names),
            "top": Map({name: int(counts[code]) for name, code in zip(top, order, strict=True)}),
        }
    )


def boolean(values: pa.ChunkedArray) -> Map:
    """The profile of true and false."""
    true = int(pc.sum(values).as_py() or 0)
    missing = values.null_count
    return Map(
        {
            "type": "boolean",
            "missing": missing,
            "true": true,
            "false": len(values) - missing - true,
        }
    )


def datetimes(values: pa.ChunkedArray) -> Map:
    """The profile of times: first, last, and bins that the quantiles fix, in ISO 8601."""
    facts: dict[str, Value] = {"type": "datetime", "missing": values.null_count}
    zone = "+00:00" if values.type.tz else ""
    micros = pc.cast(values.drop_null(), pa.int64()).to_numpy().copy()
    if len(micros):
        micros.sort()
        edges = [_iso(edge, zone) for edge in _edges(micros)]
        facts |= {
            "distinct": _distinct(micros),
            "low": _iso(micros[0], zone),
            "high": _iso(micros[-1], zone),
            "bins": _bins(micros, edges),
        }
    return Map(facts)


def _iso(micros: Any, zone: str) -> str:
    """As Python writes it: no fraction where there is none."""
    text = str(np.datetime64(int(micros), "us"))
    return text.removesuffix(".000000") + zone


def _at(ordered: NDArray[Any], shares: tuple[float, ...]) -> NDArray[Any]:
    """The numbers that stand at these shares of the rows."""
    found: NDArray[Any] = ordered[[int(share * (len(ordered) - 1)) for share in shares]]
    return found


def _edges(ordered: NDArray[Any]) -> NDArray[Any]:
    """The inner edges between bins of about as many rows each: distinct, below the greatest."""
    edges = np.unique(_at(ordered, tuple(n / BINS for n in range(1, BINS))))
    inner: NDArray[Any] = edges[edges < ordered[-1]]
    return inner


def _bins(ordered: NDArray[Any], edges: list[Any]) -> Map:
    """Rows up to each edge, and above the last."""
    inner = _edges(ordered)
    ends = np.searchsorted(ordered, inner, side="right")
    counts = np.diff(np.concatenate([[0], ends, [len(ordered)]]))
    return Map({"edges": tuple(edges), "rows": tuple(int(count) for count in counts)})


def _distinct(ordered: NDArray[Any]) -> int:
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
