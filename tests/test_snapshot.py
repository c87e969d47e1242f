"""Caps on the sources of live rows, as properties."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.monitor.snapshot import _capped, _each
from mlops_compile.steps.improving import Improve

SOURCES = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 60), min_size=1)


@given(SOURCES, st.floats(0.05, 1))
def test_no_source_is_more_than_its_share(counts: dict[str, int], share: float) -> None:
    """As many rows of each as the share allows, and not one more could be; where there are too few
    sources for it, as many as the smallest has."""
    each = _each(Counter(counts), share)

    def total(most: int) -> int:
        return sum(min(count, most) for count in counts.values())

    if len(counts) == 1:
        assert each == max(counts.values())
    elif share * len(counts) < 1:
        assert each == min(counts.values())
    else:
        assert min(counts.values()) <= each <= max(counts.values())
        assert each <= share * total(each) + 1e-9
        assert each == max(counts.values()) or each + 1 > share * total(each + 1)


@given(SOURCES, SOURCES, st.integers(0, 400))
def test_rows_of_earlier_rounds_count(
    now: dict[str, int], before: dict[str, int], base: int
) -> None:
    asked = Improve(source="who", most_share=0.5, most_source=0.5)
    sources = tuple(name for name, count in now.items() for _ in range(count))
    digests = [number.to_bytes(4, "big") for number in range(len(sources))]
    taken = _capped(sources, digests, Counter(before), base, asked)
    assert len({*taken}) == len(taken)
    assert len(taken) + sum(before.values()) <= max(base, sum(before.values()))
    each = _each(Counter(now) + Counter(before), 0.5)
    held = Counter(sources[row] for row in taken)
    if len(taken) + sum(before.values()) == base and len({*now, *before}) > 1:
        assert all(held[name] <= max(1, 0.5 * base) for name in held)
    assert all(held[name] + before.get(name, 0) <= max(each, before.get(name, 0)) for name in held)
