"""What of a record the data had not: counted by column, and answered all the same."""

from __future__ import annotations

# Columns whose missing, unseen and out-of-range values are counted, in the order of the counts.
MISSING = []
UNSEEN = []
BEYOND = []


def observe(record: object, missing: object, unseen: object, beyond: object) -> None:
    """Add what a record has of each to the counts."""
