"""The proof that a bundle carries: records, none of them real, with their fitted answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlops_compile.emit.fitted import Fitted, Request
from mlops_compile.emit.hostile_records import hostile_records

FILE = "proof.json"
_RECORDS = 64
_DRAWN = 4 * _RECORDS  # of which the pipeline may refuse some


def carried_proof(fitted: Fitted) -> str:
    """The text of `proof.json`: of sensitive columns it holds nothing that comes from the data."""
    untold = frozenset(fitted.spec.served.sensitive)
    drawn = hostile_records(fitted.spec, fitted.preparation, _DRAWN, seed=2, untold=untold)
    pairs = zip(drawn, fitted.answers(drawn), strict=True)
    kept = [(request, found.scores) for request, found in pairs if found is not None][:_RECORDS]
    return proof_text([request for request, _ in kept], [scores for _, scores in kept])


def proof_text(records: Sequence[Request], answers: Sequence[Sequence[float]]) -> str:
    """JSON, a record a line: its fields, and its scores as hexadecimal floats, which are exact."""
    lines = [
        json.dumps({"answer": [float.hex(x) for x in scores], "record": record}, sort_keys=True)
        for record, scores in zip(records, answers, strict=True)
    ]
    return '{"format": 1, "records": [\n' + ",\n".join(lines) + "\n]}\n"
