"""The one comment of a review on a pull request, by GitHub's REST API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT = 30  # seconds for an answer


class Refused(Exception):
    """GitHub refuses a request: its status and its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """GitHub's REST API for one repository."""

    api: str
    repository: str
    token: str

    def comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        """Those of a pull request, the oldest first."""
        url = f"{self._issues}/{number}/comments?per_page=100"
        while url:
            found, url = self._asked("GET", url)
            yield from found

    def create(self, number: int, body: str) -> None:
        self._asked("POST", f"{self._issues}/{number}/comments", {"body": body})

    def update(self, comment: int, body: str) -> None:
        self._asked("PATCH", f"{self._issues}/comments/{comment}", {"body": body})

    @property
    def _issues(self) -> str:
        return f"{self.api}/repos/{self.repository}/issues"

    def _asked(self, method: str, url: str, value: object = None) -> tuple[Any, str]:
        """The answer, and the address of the next page (empty: there is none)."""
        if urlsplit(url)[:2] != urlsplit(self.api)[:2]:
            raise Refused(0, f"a page at another place: {url}")  # the token goes to no other
        request = urllib.request.Request(
            url,
            method=method,
            data=None if value is None else json.dumps(value).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "mlops-compile-review",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                return json.load(answer), _next(answer.headers.get("Link", ""))
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.reason) from None
        except OSError as error:
            raise Refused(0, str(error)) from None


def _next(link: str) -> str:
    """The address of the next page in a Link header."""
    for part in link.split(","):
        address, *about = part.split(";")
        if any(item.strip() == 'rel="next"' for item in about):
            return address.strip()[1:-1]
    return ""


def comment(github: GitHub, number: int, mark: str, body: str) -> None:
    """Write the comment with that first line: the one that is there, or a new one. Refused says
    why it cannot be."""
    for known in github.comments(number):
        if str(known["body"]).splitlines()[:1] == [mark]:
            try:
                github.update(known["id"], body)
            except Refused as error:
                if error.status not in (403, 404):
                    raise
                continue  # somebody else's, with the same line
            return
    github.create(number, body)
