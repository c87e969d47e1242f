"""The service: an ASGI application of its own, run with `python app.py` or `uvicorn app:app`."""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import sys
from pathlib import Path

import msgspec

# Bytecode beside the bundle's files would change the bundle, which is named by its digest.
sys.dont_write_bytecode = True
# lightgbm imports these two where they are installed; this service needs neither.
_unneeded = [name for name in ("pandas", "sklearn") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_unneeded))  # type: ignore[arg-type]
from schema import Record  # noqa: E402
from scorer import Scorer, answer  # noqa: E402

for _name in _unneeded:
    del sys.modules[_name]

HERE = Path(__file__).resolve().parent
MODEL = "abababababababababababababababababababababababababababababababab"
MAX_RECORDS = 1000
MAX_BODY_BYTES = 10485760
# A request of more records than this is scored in a thread, so that others need not wait.
LARGE = 200
# A longer sentence about what is wrong with a request is cut: it repeats what was sent.
LONGEST_DETAIL = 300
TOO_LARGE = (413, "content too large", f"at most {MAX_BODY_BYTES} bytes")

_scorer = Scorer(HERE)
_one = msgspec.json.Decoder(Record)
_many = msgspec.json.Decoder(list[Record])
_encode = msgspec.json.Encoder().encode
_OPENAPI = (HERE / "openapi.json").read_bytes()
_ABOUT = _encode(
    {
        name: value
        for name, value in msgspec.json.decode((HERE / "bundle.json").read_bytes()).items()
        if name in ("name", "model", "family", "contract")
    }
)


class Refused(Exception):
    """A request that cannot be answered, as problem details (RFC 9457)."""

    def __init__(self, status: int, title: str, detail: str, allow: str = "") -> None:
        super().__init__(detail)
        if len(detail) > LONGEST_DETAIL:
            detail = detail[:LONGEST_DETAIL] + "..."
        self.status, self.title, self.detail, self.allow = status, title, detail, allow


async def app(scope, receive, send) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        await _http(scope, receive, send)
    else:
        raise NotImplementedError(scope["type"])


async def _lifespan(receive, send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _http(scope, receive, send) -> None:
    try:
        body, kind, status, allow = await _answer(scope, receive), b"application/json", 200, ""
    except Refused as refused:
        problem = {"title": refused.title, "status": refused.status, "detail": refused.detail}
        body, kind = _encode(problem), b"application/problem+json"
        status, allow = refused.status, refused.allow
    except Exception as error:  # a bug: the client learns that there is one, the log which
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        body = _encode({"title": "internal error", "status": 500})
        kind, status, allow = b"application/problem+json", 500, ""
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if allow:
        headers.append((b"allow", allow.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _answer(scope, receive) -> bytes:
    path, method = scope["path"], scope["method"]
    if path == "/predict":
        if method != "POST":
            raise Refused(405, "method not allowed", "use POST", allow="POST")
        return await _predict(await _body(scope, receive))
    if path not in _PAGES:
        raise Refused(404, "not found", "there is POST /predict, and GET " + ", ".join(_PAGES))
    if method not in ("GET", "HEAD"):
        raise Refused(405, "method not allowed", "use GET", allow="GET, HEAD")
    return _PAGES[path]


async def _body(scope, receive) -> bytes:
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refused(415, "unsupported media type", "the content-type must be application/json")
    stated = headers.get(b"content-length", b"0")
    if stated.isdigit() and int(stated) > MAX_BODY_BYTES:
        raise Refused(*TOO_LARGE)
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "bad request", "the body is not whole")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise Refused(*TOO_LARGE)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _predict(body: bytes) -> bytes:
    many = body.lstrip()[:1] == b"["
    try:
        records = _many.decode(body) if many else [_one.decode(body)]
    except msgspec.ValidationError as error:
        raise Refused(422, "unprocessable content", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "bad request", f"the body is not JSON: {error}") from None
    if len(records) > MAX_RECORDS:
        raise Refused(413, "content too large", f"at most {MAX_RECORDS} records in a request")
    scores = await _scores(records)
    for number, row in enumerate(scores):
        if not all(map(math.isfinite, row)):
            where = f" - at `$[{number}]`" if many else ""
            detail = f"the values are too large for this model: its answer is no number{where}"
            raise Refused(422, "unprocessable content", detail)
    if many:
        return _encode({"predictions": [answer(row) for row in scores], "model": MODEL})
    return _encode({**answer(scores[0]), "model": MODEL})


async def _scores(records: list[Record]) -> list[list[float]]:
    if len(records) > LARGE:
        return await asyncio.to_thread(_scorer.scores, records)
    return _scorer.scores(records) if records else []


_PAGES = {
    "/health/live": b'{"status":"live"}',
    "/health/ready": b'{"status":"ready"}',
    "/model": _ABOUT,
    "/openapi.json": _OPENAPI,
}


def main() -> None:
    """Serve until a signal comes."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # uvicorn finishes the requests under way, then raises the signal again: that is a good end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
