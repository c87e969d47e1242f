"""Moments and spans of time as a config writes them, in microseconds; no libraries."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SPAN = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(w|d|h|min|s|ms|us)\s*\Z")
_SECONDS = {"w": 7 * 86_400, "d": 86_400, "h": 3_600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6}
_START = datetime(1970, 1, 1, tzinfo=UTC)


def span(text: str) -> int:
    """The microseconds of `7d`, `12h`, `30min`, `1.5s`, `5ms`, `5us`. ValueError for any other."""
    match = _SPAN.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no span of time")
    return round(float(match[1]) * _SECONDS[match[2]] * 1_000_000)


def moment(text: str) -> tuple[int, bool]:
    """The microseconds since 1970 of an ISO 8601 date or time, and whether it names a zone.

    Without a zone it stands as it is written. ValueError for any other text.
    """
    if not re.match(r"\s*\d{4}-\d\d-\d\d", text):
        raise ValueError(f"{text!r} is no date in the form 2024-01-31")
    found = datetime.fromisoformat(text.strip())
    zoned = found.tzinfo is not None
    since = (found if zoned else found.replace(tzinfo=UTC)) - _START
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, zoned


def moment_fault(value: float | str, dates: bool) -> tuple[str, str] | None:
    """Why a value is no place among dates, or among numbers, and what to write; None if it is."""
    if dates and not isinstance(value, str):
        return f"the column holds dates, and {value:g} is a number", "write it as '2024-01-31'"
    if not dates and isinstance(value, str):
        return f"the column holds numbers, and {value!r} is a text", "write a bare number"
    return None


def span_fault(value: float | str, dates: bool) -> tuple[str, str] | None:
    """The same of a distance."""
    if dates and not isinstance(value, str):
        message = f"the column holds dates, and {value:g} has no unit"
        return message, f"write {value:g}d for days, {value:g}h for hours, min or s"
    if not dates and isinstance(value, str):
        return f"the column holds numbers, and {value!r} has a unit", "write a bare number"
    return None


def position(value: float | str) -> float | int:
    """Where a moment stands among a column's times: microseconds, or the number."""
    return moment(value)[0] if isinstance(value, str) else value


def distance(value: float | str | None) -> float | int:
    """The length of a gap in a column's times: microseconds, or the number; 0 for none."""
    if value is None:
        return 0
    return span(value) if isinstance(value, str) else value
