"""The log of predictions: a line of JSON for each record, written aside of the answers.

    {"v": 1, "id": ..., "time": ..., "model": ..., "plan": ..., "record": {...}, "answer": {...},
     "seconds": ...}

Answers never wait for it: a bounded queue feeds one thread, and what finds the queue full, or the
disk, is counted and gone.
"""

from __future__ import annotations

import hmac
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone

import msgspec

from lines import Lines

VERSION = 1
_BATCH = 256  # requests whose lines are written at once
GATHER_SECONDS = 0.02
_encode = msgspec.json.Encoder().encode
# Of a request: when it was answered and in what time, and its records with their ids and answers.
Entry = tuple[float, float, list[str], list[object], list[dict[str, object]]]


class Log:
    """Writes what it is given in a thread of its own. `count` takes how many were `written`, how
    many `failed` to be or found the queue `full`, and how many are `queued`, in the thread where
    that happens."""

    def __init__(
        self,
        lines: Lines,
        common: dict[str, object],
        shown: Callable[[dict[str, object]], dict[str, object]] | None,
        said: Callable[[dict[str, object]], dict[str, object]] | None,
        most: int,
        count: Callable[[str, int], None],
    ) -> None:
        self._lines, self._common, self._shown, self._said_of = lines, common, shown, said
        self._most, self._count = most, count
        self._queue: deque[Entry] = deque()
        self._put = self._done = 0
        self._filled, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._said = ""
        self._thread.start()

    @property
    def queued(self) -> int:
        """Records that wait to be written."""
        return self._put - self._done

    def put(self, entry: Entry) -> None:
        """Take what was answered; never waits. Called by one thread alone."""
        records = len(entry[2])
        if self.queued + records > self._most:
            self._count("full", records)
            return
        self._put += records
        self._queue.append(entry)
        if not self._filled.is_set():
            self._filled.set()

    def close(self, seconds: float) -> None:
        """Write what waits, for so long."""
        self._ended.set()
        self._filled.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._count("full", self.queued)

    def _write(self) -> None:
        while not self._ended.is_set() or self._queue:
            self._filled.wait()
            # More come meanwhile: to wake for each would cost the answers more than the writing.
            self._ended.wait(GATHER_SECONDS)
            self._filled.clear()
            while self._queue:
                count = min(len(self._queue), _BATCH)
                self._append([self._queue.popleft() for _ in range(count)])
        self._lines.close()

    def _append(self, entries: list[Entry]) -> None:
        records = sum(len(entry[2]) for entry in entries)
        try:
            self._lines.append(b"".join(map(self._text, entries)))
        except OSError as error:
            if len(entries) > 1:  # some of them may fit
                for entry in entries:
                    self._append([entry])
                return
            self._count("failed", records)
            if self._said != str(error):  # once, not for each
                self._said = str(error)
                print(f"error: predictions are not logged: {error}", file=sys.stderr, flush=True)
        else:
            self._said = ""
            self._count("written", records)
        self._done += records
        self._count("queued", self.queued)

    def _text(self, entry: Entry) -> bytes:
        now, seconds, ids, records, answers = entry
        moment, took = datetime.fromtimestamp(now, timezone.utc), round(seconds, 6)
        time = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
        lines = []
        for name, record, answer in zip(ids, records, answers):
            shown = record if self._shown is None else self._shown(msgspec.to_builtins(record))
            head = {"v": VERSION, "id": name, "time": time, **self._common}
            kept = answer if self._said_of is None else self._said_of(answer)
            lines.append(_encode({**head, "record": shown, "answer": kept, "seconds": took}))
        return b"\n".join(lines) + b"\n" if lines else b""


def shown(
    sensitive: list[str], zoned: list[str], key: bytes | None
) -> Callable[[dict[str, object]], dict[str, object]] | None:
    """What makes a record fit to be kept: sensitive columns are left out, or hashed by a key; times
    that were taken in UTC say so. None where records are kept as they are."""
    if not sensitive and not zoned:
        return None

    def change(record: dict[str, object]) -> dict[str, object]:
        for name in zoned:
            if record[name] is not None:
                record[name] = f"{record[name]}Z"
        for name in sensitive:
            value = record.pop(name)
            if key is not None:
                record[name] = None if value is None else hashed(key, name, value)
        return record

    return change


def hashed(key: bytes, column: str, value: object) -> str:
    """A value of a column by its HMAC: the same for the same value in the same column, and nothing
    to who has not the key."""
    text = column.encode("utf-8", "surrogatepass") + b"\0" + _encode(value)
    return f"hmac-sha256:{hmac.digest(key, text, 'sha256').hex()}"
