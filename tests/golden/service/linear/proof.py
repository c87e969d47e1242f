"""The proof: records, none of them real, with the answers that they have on every host, or nowhere."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path

import msgspec

import schema
import scorer

FILE = "proof.json"
REMEDY = (
    "package it for this kind of host (its C library and its Python compute these bits), or give"
    " --unproved, to have it answer otherwise"
)


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


def proved(directory: Path, unproved: bool = False) -> tuple[scorer.Scorer, bool]:
    """The bundle's scorer and whether it answers here as the model did that was fitted.
    Where it does not it is Unproved, or where that is to serve all the same, said."""
    entries = msgspec.json.decode((directory / FILE).read_bytes(), type=Proof).records
    found = scorer.Scorer(directory)
    number = differs(found, entries)
    if not number:
        return found, True
    told = f"it answers record {number} of {FILE} otherwise here than where it was packaged"
    if not unproved:
        raise Unproved(f"{told}; {REMEDY}")
    told += f" (of {len(entries)} records, by {distance(found, entries):.3g} at most)"
    print(f"warning: UNPROVED: {told}; it answers all the same", file=sys.stderr, flush=True)
    return found, False


def answers(found: scorer.Scorer, entries: list[Entry]) -> list[list[float]]:
    """What it answers to each record alone, then to each among all."""
    records = [entry.record for entry in entries]
    together = found.scores(records) if records else []
    return [*(found.scores([record])[0] for record in records), *together]


def differs(found: scorer.Scorer, entries: list[Entry]) -> int:
    """The first record, from 1, that is answered otherwise, alone or among all; 0 for none."""
    right = [entry.answer for entry in entries] * 2
    for place, (scores, wanted) in enumerate(zip(answers(found, entries), right, strict=True)):
        if [float.hex(value) for value in scores] != wanted:
            return place % len(entries) + 1
    return 0


def distance(found: scorer.Scorer, entries: list[Entry]) -> float:
    """By how much a score differs at most."""
    most = 0.0
    right = [entry.answer for entry in entries] * 2
    for scores, wanted in zip(answers(found, entries), right, strict=True):
        for score, text in zip(scores, wanted, strict=True):
            if float.hex(score) != text:
                apart = abs(score - float.fromhex(text))
                most = max(most, apart if apart == apart else inf)
    return most
