"""The proof: records, none of them real, with the answers that they have on every host, or nowhere."""

from __future__ import annotations

from pathlib import Path

import msgspec

import schema
import scorer

FILE = "proof.json"
REMEDY = "package it for this kind of host (its C library and its Python compute these bits)"


class Unproved(Exception):
    """This host computes other answers than the one that packaged; the text says which."""


class Entry(msgspec.Struct):
    """A record, and its scores as hexadecimal floats."""

    record: schema.Record
    answer: list[str]


class Proof(msgspec.Struct):
    """What `proof.json` holds."""

    format: int
    records: list[Entry]


def proved(directory: Path) -> scorer.Scorer:
    """The bundle's scorer, once it has answered here as the model did that was fitted.
    Unproved where it does not."""
    entries = msgspec.json.decode((directory / FILE).read_bytes(), type=Proof).records
    found = scorer.Scorer(directory)
    number = differs(found, entries)
    if number:
        told = f"it answers record {number} of {FILE} otherwise here than where it was packaged"
        raise Unproved(f"{told}; {REMEDY}")
    return found


def differs(found: scorer.Scorer, entries: list[Entry]) -> int:
    """The first record, from 1, that is answered otherwise, alone or among all; 0 for none."""
    together = found.scores([entry.record for entry in entries]) if entries else []
    for number, (entry, others) in enumerate(zip(entries, together, strict=True), start=1):
        for scores in (found.scores([entry.record])[0], others):
            if [float.hex(value) for value in scores] != entry.answer:
                return number
    return 0
