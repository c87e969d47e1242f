"""What a census holds of an action: what it was made of and what it made, by digests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mlops_compile.ir.value import Map
from mlops_compile.store.actions import Action
from mlops_compile.store.reach import shape_of


class Entry(NamedTuple):
    """An action, by digests: what it was made of and what it made.

    `source` is the content that it read (empty for most), `parts` its files where it is a folder.
    `size` is that of its record in bytes, `used` the Unix time of its last use.
    """

    key: str
    kind: str
    step: str
    plan: str
    shape: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    blobs: tuple[str, ...]
    source: str
    size: int
    used: float
    parts: tuple[str, ...] = ()


def entry_of(key: str, action: Action, size: int = 0, used: float = 0.0) -> Entry:
    """What a census holds of an action."""
    inputs = action.preimage.get("inputs")
    taken = inputs.values() if isinstance(inputs, Map) else ()
    parts = action.about.get("parts")
    return Entry(
        key=key,
        kind=action.kind,
        step=action.step,
        plan=action.plan,
        shape=shape_of(action.preimage),
        inputs=tuple(sorted({str(digest) for digest in taken})),
        outputs=tuple(sorted({digest.sha256 for _, digest in action.outputs})),
        blobs=tuple(sorted({digest.sha256 for digest in action.blobs})),
        source=_source(action),
        size=size,
        used=used,
        parts=tuple(sorted(map(str, parts))) if isinstance(parts, tuple) else (),
    )


def held(entry: Entry) -> Iterator[str]:
    """The blobs that an action keeps, its source's snapshot among them."""
    yield from entry.blobs
    if entry.source and entry.source not in entry.blobs:
        yield entry.source
    yield from (part for part in entry.parts if part not in entry.blobs)


def _source(action: Action) -> str:
    source = action.preimage.get("source")
    return str(source.get("digest", "")) if isinstance(source, Map) else ""
