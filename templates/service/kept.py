"""What a service keeps: predictions and feedback, in the directory that it was given, if any."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from time import time

import feedback
import predictions
from bundle import Bundle
from lines import Lines
from problems import Refused
from settings import Settings, Unusable

AGAIN = ((b"retry-after", b"1"),)


class Kept:
    """The log of predictions, and the feedback. Unusable where they cannot be kept as they are to
    be."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._facts, self._settings = bundle.facts, settings
        self._target = self._facts["contract"]["response"]["target"]
        self._is_secret = self._target in self._facts["sensitive"]
        self._log: predictions.Log | None = None
        self._feedback: Lines | None = None
        self._lock = asyncio.Lock()
        if not settings.log:
            return
        stated, directory = self._facts["service"]["log"], Path(settings.log)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unusable(f"the log cannot lie in {directory}: {error.strerror}") from None
        if self._facts["sensitive"] and stated["sensitive"] == "hash" and not settings.hash_key:
            raise Unusable("deploy.log.sensitive is hash, and MLOPS_HASH_KEY holds no key")
        size, files = stated["max_bytes"], stated["max_files"]
        self._predictions = Lines(directory, "predictions", size, files)
        self._feedback = Lines(directory, "feedback", size, 0)

    def begin(self, zoned: list[str], count: Callable[[str, int], None]) -> None:
        """Begin to take predictions; `zoned` are the columns whose times are in UTC."""
        if self._feedback is None:
            return
        columns = [name for name in self._facts["sensitive"] if name != self._target]
        shown = predictions.shown(columns, zoned, self._key())
        common = {name: self._facts[name] for name in ("model", "plan")}
        most = self._facts["service"]["log"]["queue"]
        said = self._concealed if self._is_secret else None
        self._log = predictions.Log(self._predictions, common, shown, said, most, count)

    def _key(self) -> bytes | None:
        """The key of what is hashed; None where it is left out."""
        stated = self._facts["service"]["log"]["sensitive"]
        return self._settings.hash_key if stated == "hash" else None

    def _concealed(self, answer: dict[str, object]) -> dict[str, object]:
        """What is kept of an answer about a sensitive target: nothing, or its hash, which is that of
        a truth that is the same."""
        if (key := self._key()) is None:
            return {}
        return {"prediction": predictions.hashed(key, self._target, answer["prediction"])}

    def log(
        self, ids: list[str], records: list[object], answers: list[dict], seconds: float
    ) -> int:
        """Take answers that were found now, in so many seconds; how many wait to be written."""
        if self._log is None:
            return 0
        self._log.put((time(), seconds, ids, records, answers))
        return self._log.queued

    async def feed_back(self, data: bytes) -> int:
        """Keep the feedback of a body, and how much it is. Refused where it cannot be kept."""
        if self._feedback is None:
            detail = "feedback is not kept: the service was started without --log"
            raise Refused(503, "no-log", detail)
        classes = self._facts["contract"]["response"].get("classes", [])
        found = feedback.checked(data, classes, self._facts["service"]["max_records"])
        if self._is_secret:
            if (key := self._key()) is None:
                detail = "feedback is not kept: the target is sensitive, and left out of the log"
                raise Refused(409, "not-kept", detail)
            found = [feedback.hashed(one, key, self._target) for one in found]
        try:
            async with self._lock:
                await asyncio.to_thread(feedback.keep, self._feedback, found)
        except OSError as error:
            print(f"error: feedback is not kept: {error}", file=sys.stderr, flush=True)
            raise Refused(503, "no-room", "feedback cannot be kept", headers=AGAIN) from None
        return len(found)

    def close(self) -> None:
        """Write what waits to be written."""
        if self._log is not None:
            self._log.close(10.0)
        if self._feedback is not None:
            self._feedback.close()
