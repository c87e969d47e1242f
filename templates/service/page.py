"""The page to try the model on: what may run in it is what it was made with."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path


def read(path: Path) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """The page, and the headers that hold it to its own script and style and to this service."""
    text = path.read_bytes()
    own = {
        tag: base64.b64encode(hashlib.sha256(_inner(text, tag)).digest()).decode()
        for tag in (b"script", b"style")
    }
    policy = (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; script-src 'sha256-{own[b'script']}'; "
        f"style-src 'sha256-{own[b'style']}'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )
    return text, headers


def _inner(text: bytes, tag: bytes) -> bytes:
    found = re.search(rb"<%s>(.*?)</%s>" % (tag, tag), text, re.DOTALL)
    return found[1] if found else b""
