"""A PostgreSQL server of one's own: from Debian's binaries, in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

USER, PASSWORD = "shop_reader", "canary-7f3a9c"
_ADMIN = "admin"
_SECONDS = 60


def binaries() -> Path | None:
    """The folder of the newest `postgres` and `initdb`; None where there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    known = shutil.which("initdb")
    found = [*folders, *([Path(known).resolve().parent] if known else [])]
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server; `uri` has no credentials."""

    port: int

    def uri(self, database: str = "shop", port: int | None = None) -> str:
        return f"postgresql+psycopg://127.0.0.1:{port or self.port}/{database}"

    def execute(self, *statements: str, database: str = "shop") -> None:
        """Run statements as the administrator."""
        with self._connected(database) as connection:
            for text in statements:
                connection.execute(text)

    def _connected(self, database: str) -> Any:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_ADMIN,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextlib.contextmanager
def running(bin_folder: Path) -> Iterator[Server]:
    """A server with a database `shop` that `USER` may read; stopped and removed at the end."""
    # PostgreSQL refuses to be run by root.
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    own: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
    own = own if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        room = Path(name)
        (room / "password").write_text(PASSWORD)
        for path in (room, room / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
        words = [bin_folder / "initdb", "-D", room / "data", "-U", _ADMIN, "-N", "-E", "UTF8"]
        words += ["--locale=C", "-A", "scram-sha-256", f"--pwfile={room / 'password'}"]
        _checked(words, own, room)
        port = free_port()
        words = [bin_folder / "postgres", "-D", room / "data", "-k", room, "-p", str(port)]
        words += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (room / "log").open("wb") as log:
            process = subprocess.Popen(
                [*map(str, words)], stdout=log, stderr=log, cwd=room, env={"LC_ALL": "C"}, **own
            )
        try:
            server = Server(port=port)
            _ready(server, process, room / "log")
            server.execute("CREATE DATABASE shop", database="postgres")
            server.execute(
                f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'",
                f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {USER}",
            )
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(_SECONDS)


def _checked(words: list[Any], own: dict[str, Any], room: Path) -> None:
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, cwd=room, env={"LC_ALL": "C"}, **own
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} fails: {done.stderr}")


def _ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return server.execute("SELECT 1", database="postgres")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"postgres does not start: {log.read_text()}") from None
            time.sleep(0.1)
