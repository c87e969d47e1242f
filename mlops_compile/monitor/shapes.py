"""Shapes: the shares of a column's bins or levels, in the reference and in a window."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from mlops_compile.ir.finding import Shape
from mlops_compile.ir.reference import ColumnReference, Reference
from mlops_compile.monitor.observed import Column, Window

_MOST = 12  # levels


def shapes(reference: Reference, window: Window) -> Iterator[Shape]:
    """Of what is answered, then of each column that has one."""
    pairs = [(reference.score, window.score), *zip(reference.columns, window.columns, strict=True)]
    for before, now in pairs:
        if before.sensitive or not (before.counts or before.levels):
            continue
        yield _numbers(before, now) if before.is_number else _levels(before, now)


def _numbers(before: ColumnReference, now: Column) -> Shape:
    places = np.searchsorted(np.array(before.edges), now.numbers, side="right")
    counts = np.bincount(places, minlength=len(before.counts)).tolist()
    shown = [_shown(before.kind, edge) for edge in before.edges]
    names = ["all"]
    if shown:
        between = [f"{low} to {high}" for low, high in pairwise(shown)]
        names = [f"below {shown[0]}", *between, f"from {shown[-1]}"]
    return _shape(before, now, names, list(before.counts), counts)


def _shown(kind: str, edge: float) -> str:
    if kind == "numeric":
        return f"{edge:.4g}"
    return datetime.fromtimestamp(edge, UTC).isoformat(" ", "minutes").removesuffix("+00:00")


def _levels(before: ColumnReference, now: Column) -> Shape:
    known = dict(before.levels)
    asked = {**known, **{name: 0 for name in now.levels if name not in known}}
    ordered = sorted(asked, key=lambda name: -(known.get(name, 0) + now.levels.get(name, 0)))
    names, rest = ordered[:_MOST], ordered[_MOST:]
    old = [known.get(name, 0) for name in names]
    new = [now.levels.get(name, 0) for name in names]
    if rest or before.other:
        names = [*names, "(others)"]
        old.append(sum(known.get(name, 0) for name in rest) + (before.other or 0))
        new.append(sum(now.levels.get(name, 0) for name in rest))
    return _shape(before, now, names, old, new)


def _shape(
    before: ColumnReference, now: Column, names: list[str], old: list[int], new: list[int]
) -> Shape:
    """Missing values are a bar of their own where there are any."""
    if before.missing or now.missing:
        names, old, new = [*names, "(missing)"], [*old, before.missing], [*new, now.missing]
    return Shape(name=before.name, labels=tuple(names), before=_shares(old), now=_shares(new))


def _shares(counts: list[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total if total else 0.0 for count in counts)
