"""Content digests: the sha256 and size of some bytes, as `sha256sum` and `wc -c` print them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from mlops_compile.ir.value import Map, Value

_CHUNK = 1 << 20
_HEX = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Digest:
    """What some bytes are, wherever they lie. `size` is in bytes."""

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not is_sha256(self.sha256):
            raise ValueError(f"not a sha256 in lower-case hex: {self.sha256!r}")
        if self.size < 0:
            raise ValueError(f"negative size: {self.size}")

    def to_dict(self) -> Map:
        return Map({"digest": self.sha256, "size": self.size})

    @classmethod
    def from_dict(cls, value: Value) -> Digest:
        match value:
            case Map() if set(value) == {"digest", "size"}:
                sha256, size = value["digest"], value["size"]
                if isinstance(sha256, str) and type(size) is int:
                    return cls(sha256=sha256, size=size)
        raise ValueError("a digest is an object of `digest` (text) and `size` (bytes)")


def is_sha256(text: str) -> bool:
    """Whether a text has the form of a sha256: 64 lower-case hex digits."""
    return bool(_HEX.match(text))


def digest_of(data: bytes) -> Digest:
    """The digest of bytes in memory."""
    return Digest(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def content_size(outputs: Iterable[tuple[str, Digest]], blobs: Iterable[Digest]) -> int:
    """The bytes of all files of a step's outputs: a directory counts by what is in it."""
    own = {digest for _, digest in outputs}
    return sum(blob.size for blob in {*blobs} - own) or sum(digest.size for digest in own)


def digest_of_stream(stream: BinaryIO) -> Digest:
    """The digest of all that is left to read of a binary stream."""
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return Digest(sha256=hasher.hexdigest(), size=size)
