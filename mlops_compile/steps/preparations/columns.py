"""Columns of values, as the preparations compute over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops_compile.steps.preparations.kind import Feature

    Array = np.ndarray[Any, Any]


def mapped(function: Callable[[float], float], values: Any) -> Array:
    """A function of one number over a column, called once for each distinct number.

    Numbers are told apart by their bits: 0.0 and -0.0 are two.
    """
    import numpy as np

    bits, places = np.unique(np.asarray(values, dtype="float64").view("int64"), return_inverse=True)
    results = np.array([function(x) for x in bits.view("float64").tolist()], dtype="float64")
    return results[places] if len(results) else results


def of_levels(function: Callable[[str], float], feature: Feature, missing: float) -> Array:
    """A function of one text over a categorical column, called once a level."""
    import numpy as np

    values = texts(feature)
    table = np.array([*(function(str(level)) for level in values.categories), missing])
    found: Array = table[values.codes]
    return found


def retold(function: Callable[[str], str], feature: Feature) -> pd.Categorical:
    """A categorical column with each level told otherwise; missing stays missing."""
    import numpy as np
    import pandas as pd

    values = texts(feature)
    told = [function(str(level)) for level in values.categories]
    levels = sorted(set(told))
    place = {level: n for n, level in enumerate(levels)}
    table = np.array([*(place[level] for level in told), -1])
    categories = pd.Index(levels, dtype=object)
    return pd.Categorical.from_codes(table[values.codes], categories=categories)


def texts(feature: Feature) -> pd.Categorical:
    """The values of a categorical feature."""
    import pandas as pd

    assert isinstance(feature.values, pd.Categorical)
    return feature.values


def number(value: object) -> str:
    """A number as source, in brackets where a sign could be taken for an operator."""
    return f"({value!r})" if isinstance(value, float) and value < 0 else repr(value)


def numbers(values: object) -> tuple[float, ...]:
    """A list of numbers in a state."""
    assert isinstance(values, tuple)
    return tuple(float(value) for value in values)
