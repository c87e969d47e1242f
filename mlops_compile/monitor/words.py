"""Words: figures, levels and times as the messages of findings have them."""

from __future__ import annotations

from datetime import UTC, datetime

_LONGEST = 40


def share(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.4g} %"


def rows_of(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def short(level: str) -> str:
    """A level in quotes, its end cut where it is long."""
    return repr(level if len(level) <= _LONGEST else level[: _LONGEST - 3] + "...")


def moment(seconds: float) -> str:
    """A time, from seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.4g}"
