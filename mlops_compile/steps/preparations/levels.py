"""Levels of a categorical feature, as the category preparations learn and look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_compile.ir.value import Map

if TYPE_CHECKING:
    import numpy as np

    from mlops_compile.steps.preparations.kind import Feature


def seen_levels(feature: Feature, min_count: int = 1) -> tuple[str, ...]:
    """The levels that stand in at least `min_count` rows, in code point order."""
    return tuple(level for level, n in level_counts(feature).items() if n >= min_count)


def level_counts(feature: Feature) -> dict[str, int]:
    """In how many rows each level stands, of those that stand in one; in code point order."""
    import numpy as np
    import pandas as pd

    values = feature.values
    assert isinstance(values, pd.Categorical)
    counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.categories))
    pairs = zip(map(str, values.categories), counts.tolist(), strict=True)
    return {level: n for level, n in sorted(pairs) if n}


def positions(feature: Feature, levels: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Each row's position among the levels as float64; NaN for a missing or another level."""
    import numpy as np
    import pandas as pd

    values = feature.values
    assert isinstance(values, pd.Categorical)
    place = {level: float(position) for position, level in enumerate(levels)}
    table = np.array([place.get(str(level), np.nan) for level in values.categories] + [np.nan])
    result: np.ndarray[Any, Any] = table[values.codes]
    return result


def state_levels(state: Map) -> tuple[str, ...]:
    """The levels in a state."""
    levels = state["levels"]
    assert isinstance(levels, tuple)
    return tuple(str(level) for level in levels)


def table_code(levels: tuple[str, ...]) -> str:
    """A Python dict from level to position, as source."""
    return values_code(levels, tuple(float(n) for n in range(len(levels))))


def values_code(levels: tuple[str, ...], values: tuple[float, ...]) -> str:
    """A Python dict from level to value, as source."""
    pairs = zip(levels, values, strict=True)
    return "{" + ", ".join(f"{level!r}: {value!r}" for level, value in pairs) + "}"
