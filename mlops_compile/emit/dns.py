"""Names of services as networks and clusters take them."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 40


def dns_name(text: str) -> str:
    """A text as a label of DNS (RFC 1035): one that had to be changed ends with digits of its
    digest, so that no two are the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST].strip("-")
    plain = re.sub(r"^[^a-z]+", "", plain)
    if plain and plain == text:
        return plain
    digits = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain or 'model'}-{digits}"
