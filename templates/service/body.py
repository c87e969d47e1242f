"""The body of a request: read whole, and no further than its limits."""

from __future__ import annotations

from problems import Refused


async def read(headers: dict[bytes, bytes], receive: object, most: int) -> bytes:
    """The bytes of a JSON body of at most so many."""
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if kind != b"application/json":
        detail = "the content-type must be application/json"
        raise Refused(415, "wrong-media-type", detail)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refused(415, "wrong-media-type", "a body must not be compressed")
    stated = headers.get(b"content-length", b"0")
    if stated.isdigit() and int(stated[:20]) > most:
        raise _too_large(most)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        return body
    chunks, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Refused(400, "not-whole", "the body is not whole")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()


def _too_large(most: int) -> Refused:
    return Refused(413, "too-large", f"a body may have {most} bytes at most")
