"""A service of a bundle as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Running:
    """A command that serves, from when it is ready to its end by SIGTERM."""

    def __init__(
        self, command: Sequence[str], place: Path, environment: Mapping[str, str], *, port: int
    ) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this object
        self.process = subprocess.Popen(
            command, cwd=place, env={**os.environ, **environment}, stderr=self.log
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    def __enter__(self) -> Running:
        for _ in range(2400):  # two minutes: a machine may be busy
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        raise AssertionError("the service does not start")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0

    def said(self) -> str:
        """Its standard error up to now."""
        self.log.seek(0)
        return self.log.read().decode()

    def predict(self, value: Any) -> Any:
        """The answer to a record, or to a list of them."""
        answer = self.client.post("/predict", json=value)
        assert answer.status_code == 200, answer.text
        return answer.json()
