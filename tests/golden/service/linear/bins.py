"""The bins of the reference, and which of them the values of a record and its answer lie in."""

from __future__ import annotations

from bisect import bisect_right as place
from datetime import datetime

# Each column, and the score, with its bins, in the order of the counts; the last is of missing
# values.
BINS = {
    "age": ["(-inf, 30)", "[30, 45.5)", "[45.5, inf)", "(missing)"],
    "from": ["(-inf, 2020-01-01T00:00:00)", "[2020-01-01T00:00:00, inf)", "(missing)"],
    "job": ["cook", "smith", "(other)", "(missing)"],
    "paid": ["true", "false", "(other)", "(missing)"],
    "(prediction)": ["(-inf, 0.25)", "[0.25, 0.5)", "[0.5, inf)", "(missing)"],
}
# What the reference has in each: a share of the values, and of all rows of those that are missing.
SHARES = {
    "age": [0.2503113325031133, 0.49937733499377335, 0.2503113325031133, 0.0],
    "from": [0.5, 0.5, 0.1],
    "job": [0.6650082918739635, 0.3333333333333333, 0.001658374792703151, 0.25],
    "paid": [0.7484433374844334, 0.2503113325031133, 0.0012453300124533001, 0.0],
    "(prediction)": [0.4975369458128079, 0.2512315270935961, 0.2512315270935961, 0.0],
}
EDGES_c0 = [30.0, 45.5]
EDGES_c1 = [datetime.fromisoformat(edge) for edge in ["2020-01-01T00:00:00"]]
PLACES_c2 = {
    "cook": 7,
    "smith": 8,
    None: 10,
}
PLACES_c3 = {
    True: 11,
    False: 12,
    None: 14,
}
EDGES_score = [0.25, 0.5]


def count(record: object, answer: dict[str, object], counts: object) -> None:
    """Add a record and its answer to the counts of the bins."""
    # "age"
    value = record.c0
    counts[3 if value is None else place(EDGES_c0, value)] += 1.0
    # "from"
    value = record.c1
    counts[6 if value is None else 4 + place(EDGES_c1, value)] += 1.0
    # "job"
    value = record.c2
    counts[PLACES_c2.get(value, 9)] += 1.0
    # "paid"
    value = record.c3
    counts[PLACES_c3.get(value, 13)] += 1.0
    # "(prediction)"
    value = answer["probability"]
    counts[18 if value is None else 15 + place(EDGES_score, value)] += 1.0
