"""Problem details (RFC 9457): what a client is told that cannot be answered."""

from __future__ import annotations

import re
from http import HTTPStatus

# A longer sentence about what is wrong with a request is cut: it repeats what was sent.
LONGEST_DETAIL, LONGEST_NAME = 300, 100
# As RFC 9110 has them; Python's own differ from one version to the next.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(?:\[(\d+)\])?(?:\.(.*))?`)?", re.DOTALL)
_OBJECT = re.compile(r"Object (?:contains|missing) (.*? field) `(.*)`", re.DOTALL)
_FIELD = re.compile(r"field `(.*?)` (must be .*)", re.DOTALL)


class Refused(Exception):
    """A request that cannot be answered. `kind` is the last part of the problem's type; `errors`
    name what is wrong with which field of which record."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: tuple[dict[str, object], ...] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, cut(detail)
        self.errors, self.headers = errors, headers

    def document(self, request: str) -> dict[str, object]:
        """The members of the problem, with the request's id."""
        found: dict[str, object] = {
            "type": f"urn:mlops-compile:problem:{self.kind}",
            "title": TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            found["errors"] = self.errors
        return {**found, "request": request}


def cut(text: str, most: int = LONGEST_DETAIL) -> str:
    """A text that is not too long."""
    return text if len(text) <= most else text[:most] + "..."


def wrong(message: str) -> Refused:
    """The refusal of a record by what msgspec says of it: its field is named."""
    found = _PLACE.fullmatch(message)
    said, record, field = found.groups() if found else (message, None, None)
    if field is None:
        if named := _OBJECT.fullmatch(said):
            said, field = named.groups()
        elif named := _FIELD.fullmatch(said):
            field, said = named.groups()
    error: dict[str, object] = {"detail": cut(said)}
    pointer = "#"
    if record is not None:
        error["record"] = int(record)
        pointer += f"/{record}"
    if field is not None:
        error["field"] = cut(field, LONGEST_NAME)
        pointer += "/" + cut(field, LONGEST_NAME).replace("~", "~0").replace("/", "~1")
    error["pointer"] = pointer
    return Refused(422, "wrong-record", message, errors=(error,))


def unanswerable(detail: str, record: int | None) -> Refused:
    """The refusal of a record (of a list, by its number) that has no answer."""
    place = {"pointer": "#"} if record is None else {"record": record, "pointer": f"#/{record}"}
    message = detail if record is None else f"{detail} - at `$[{record}]`"
    return Refused(422, "unanswerable", message, errors=({"detail": detail, **place},))


def misfit(message: str) -> Refused:
    """The refusal of a body of the Open Inference Protocol by what is said of it, with the place in
    it, `$.inputs[0].shape`, as a pointer."""
    said, _, place = message.partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]`]", place) if key]
    error = {"detail": cut(said), "pointer": "/".join(["#", *keys])}
    return Refused(422, "wrong-record", message, errors=(error,))
