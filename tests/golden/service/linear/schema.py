"""What a request of this service may hold; generated from the data's contract."""

from __future__ import annotations

from datetime import datetime, timezone
from unicodedata import normalize

import msgspec

# Times that are taken in UTC, and have lost their zone.
ZONED = []


class Record(
    msgspec.Struct,
    kw_only=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={
        "c0": "age",
        "c1": "from",
        "c2": "job",
        "c3": "paid",
    },
):
    """One row. Attributes stand in the order of the contract."""

    c0: float
    c1: str | None = None
    c2: str | None = None
    c3: bool

    def __post_init__(self) -> None:
        if self.c1 is not None:
            self.c1 = moment(self.c1, "from", False)
        if self.c2 is not None:
            self.c2 = composed(self.c2)


def composed(text: str) -> str:
    """A text in NFC, as those of the data are."""
    return text if text.isascii() else normalize("NFC", text)


def moment(text: str, field: str, zoned: bool) -> datetime:
    """The time that an ISO 8601 text names, without its zone; with a zone it is taken in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"field `{field}` must be a time in ISO 8601") from None
    if zoned != (found.tzinfo is not None):
        raise ValueError(f"field `{field}` must be a time {'with' if zoned else 'without'} a zone")
    try:
        return found.astimezone(timezone.utc).replace(tzinfo=None) if zoned else found
    except OverflowError:
        raise ValueError(f"field `{field}` must lie in the years 1 to 9999 in UTC") from None
