"""The reference of a bundle: what it holds of columns, and that it is the same once it is read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.emit.reference import levels_reference, numbers_reference
from mlops_compile.ir.reference import Reference, reference_of
from mlops_compile.ir.value import Map, canonical, parse
from mlops_compile.steps.monitoring import Kept

FLOATS = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, float("nan")])
COLUMNS = st.lists(FLOATS, max_size=200)


@given(COLUMNS, st.integers(2, 12), st.integers(10, 50))
def test_numbers(values: list[float], bins: int, most: int) -> None:
    """Bins hold every value once, the sample is of the values and as large as it may be."""
    found = numbers_reference(
        "x", "numeric", np.array(values, dtype="float64"), Kept(bins=bins, values=most)
    )
    known = sorted(value for value in values if value == value)
    assert (found.rows, found.missing) == (len(values), len(values) - len(known))
    if not known:
        assert found.counts == ()
        return
    assert sum(found.counts) == len(known) and 1 <= len(found.counts) <= bins
    assert found.counts[0] > 0
    edges = [-np.inf, *found.edges, np.inf]
    for low, high, count in zip(edges, edges[1:], found.counts, strict=False):
        assert count == sum(low <= value < high for value in known)
    assert (found.low, found.high) == (known[0], known[-1])
    sample = [value for value, often in found.sample for _ in range(often)]
    assert len(sample) == min(len(known), most) and {*sample} <= {*known}
    if len(known) <= most:
        assert sample == known


def test_a_mass_of_zeros_leaves_bins_for_the_rest() -> None:
    values = np.array([0.0] * 900 + [float(n) for n in range(1, 101)])
    found = numbers_reference("x", "numeric", values, Kept())
    assert found.counts[0] == 900 and len(found.counts) == 10
    assert max(found.counts[1:]) < 20


@given(st.lists(st.sampled_from(["a", "b", "ä", "", None]), max_size=60), st.integers(1, 4))
def test_levels(values: list[str | None], most: int) -> None:
    found = levels_reference("x", "categorical", pa.array(values, pa.string()), Kept(levels=most))
    assert found.missing == values.count(None)
    assert sum(count for _, count in found.levels) + (found.other or 0) + found.missing == len(
        values
    )
    assert len(found.levels) == min(most, len({*values} - {None}))
    assert all(values.count(name) == count for name, count in found.levels)
    assert (found.other is None) == (len({*values} - {None}) <= most)


@given(COLUMNS, st.lists(st.sampled_from(["a", "b", None])))
def test_a_document_that_is_read_is_the_same_reference(
    values: list[float], levels: list[str | None]
) -> None:
    numbers = numbers_reference("x", "datetime", np.array(values, dtype="float64"), Kept())
    texts = levels_reference("y", "boolean", pa.array(levels, pa.string()), Kept())
    whole = Reference(
        task="regression",
        target="z",
        classes=(),
        primary="r2",
        columns=(numbers, texts),
        score=numbers,
        truth=numbers,
        metrics=Map({"r2": 0.5}),
    )
    assert reference_of(parse(canonical(whole.to_dict()))) == whole
