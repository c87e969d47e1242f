"""Feedback: what turned out to be true of a prediction, by its id; kept before it is answered.

{"v": 1, "id": ..., "time": ..., "truth": ...}
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Annotated

import msgspec

import predictions

from lines import Lines
from problems import Refused, wrong

VERSION = 1
_encode = msgspec.json.Encoder().encode


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """The truth about one record."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,128}(:[0-9]{1,9})?\Z")]
    truth: str | float


_one = msgspec.json.Decoder(Feedback)
_many = msgspec.json.Decoder(list[Feedback])


def checked(body: bytes, classes: list[str], most: int) -> list[Feedback]:
    """The feedback of a body; Refused where its truth is none of the contract."""
    is_list = body.lstrip()[:1] == b"["
    try:
        found = _many.decode(body) if is_list else [_one.decode(body)]
    except msgspec.ValidationError as error:
        raise wrong(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "not-json", f"the body is not JSON: {error}") from None
    if len(found) > most:
        raise Refused(413, "too-many-records", f"at most {most} in a request")
    for number, feedback in enumerate(found):
        place = f" - at `$[{number}].truth`" if is_list else " - at `$.truth`"
        if classes and feedback.truth not in classes:
            raise wrong(f"the truth is one of {', '.join(classes[:20])}{place}")
        if not classes and not _is_number(feedback.truth):
            raise wrong(f"the truth is a number{place}")
    return found


def _is_number(value: str | float) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def keep(lines: Lines, found: list[Feedback]) -> None:
    """Append feedback, so that it survives a loss of power. OSError where it cannot be kept."""
    time = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"
    texts = [_encode({"v": VERSION, "id": f.id, "time": time, "truth": f.truth}) for f in found]
    if texts:
        lines.append(b"\n".join(texts) + b"\n", durable=True)


def hashed(one: Feedback, key: bytes, target: str) -> Feedback:
    """The same with its truth hashed, as the log hashes predictions."""
    return Feedback(id=one.id, truth=predictions.hashed(key, target, one.truth))
