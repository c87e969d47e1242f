"""Who may ask for what: tokens of their own for prediction, feedback and administration."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from problems import Refused


def admit(
    headers: dict[bytes, bytes], client: tuple | None, role: str, tokens: Mapping[str, bytes]
) -> None:
    """Refused unless a request carries the token of a role. Where there is none, whoever asks may
    predict, and only this machine may do the rest."""
    expected = tokens.get(role)
    if expected is None:
        if role != "predict" and not _is_local(headers, client):
            detail = f"without MLOPS_TOKEN_{role.upper()}, this is for the machine itself"
            raise Refused(403, "forbidden", detail)
        return
    given = headers.get(b"authorization", b"")
    scheme, _, token = given.partition(b" ")
    if scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), expected):
        return
    detail = f"this needs the token for {role}: `Authorization: Bearer TOKEN`"
    headers = ((b"www-authenticate", b'Bearer realm="%s"' % role.encode()),)
    raise Refused(401, "unauthorized", detail, headers=headers)


def _is_local(headers: dict[bytes, bytes], client: tuple | None) -> bool:
    """Whether a request comes from this machine, by no proxy and by no page of another site."""
    if {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"} & headers.keys():
        return False
    if not client or not _is_loopback(client[0]):
        return False
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{host}").hostname or ""
        same = not origin or urlsplit(origin).netloc == host
    except ValueError:
        return False
    return same and (name in ("", "localhost") or _is_loopback(name))


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
