"""A service among bad clients, and on a disk that fills up."""

from __future__ import annotations

import resource
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serving import EXAMPLE, Running, lines_of, people, write

HEAD = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("faults")
    with Running(write(people(), place / "bundle")) as found:
        yield found


def _memory(process: int) -> int:
    """The peak of resident memory, in KiB."""
    (line,) = (x for x in Path(f"/proc/{process}/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1])


def test_large_bodies_are_refused_and_not_kept(running: Running) -> None:
    """100 MB, said to be that or not: in no memory, and others are answered meanwhile."""
    before = _memory(running.process.pid)
    megabyte = b" " * 1_000_000

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield megabyte

    headers = {"content-type": "application/json"}
    stated = {**headers, "content-length": str(100 * len(megabyte))}
    for given in (headers, stated):
        answer = running.client.post("/predict", content=chunks(), headers=given)
        assert answer.status_code == 413
        assert running.predict().status_code == 200
    assert _memory(running.process.pid) - before < 60_000


def test_slow_heads_are_given_up_and_nobody_waits(running: Running) -> None:
    connections = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(50)]
    for connection in connections[::2]:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost:")
    assert running.predict().status_code == 200
    for connection in connections:
        with connection:
            connection.settimeout(60)
            assert connection.recv(1) == b""
    assert running.predict().status_code == 200


def _limits() -> bool:
    """Whether so many connections can be had here; makes room for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5000), hard))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_two_thousand_connections_are_all_answered(tmp_path: Path, flags: tuple[str, ...]) -> None:
    if not _limits():
        pytest.skip("this machine allows too few open files")
    body = b'{"age": 38.0, "paid": true}'
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    with Running(write(people(), tmp_path / "bundle"), *flags) as running:
        with selectors.DefaultSelector() as selector:
            for _ in range(2000):
                connection = socket.create_connection(("127.0.0.1", running.port), timeout=60)
                connection.sendall(request)
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
            left, until = 2000, time.monotonic() + 300
            while left and time.monotonic() < until:
                for key, _ in selector.select(timeout=10):
                    assert key.fileobj.recv(4096).startswith(b"HTTP/1.1 200")
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    left -= 1
        assert left == 0
        assert running.predict().status_code == 200


@pytest.mark.slow
def test_a_disk_that_fills_up_and_has_room_again(tmp_path: Path) -> None:
    """Every request is answered; what was not logged is counted; then it is logged again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        bundle = write(people(), tmp_path / "bundle")
        with Running(bundle, "--log", str(disk / "log")) as running:
            for _ in range(20):
                assert running.predict([EXAMPLE] * 20).status_code == 200
            for _ in range(600):
                if running.metrics()['mlops_log_dropped_total{reason="failed"}']:
                    break
                time.sleep(0.05)
            truths = [{"id": f"x:{number}", "truth": "yes"} for number in range(900)]
            assert running.client.post("/feedback", json=truths).status_code == 503
            assert lines_of(disk / "log", "feedback") == []
            subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
            assert running.client.post("/feedback", json=truths).status_code == 202
            assert running.predict(**{"x-request-id": "later"}).status_code == 200
        lines = lines_of(disk / "log", "predictions")
        assert lines[-1]["id"] == "later" and len(lines) < 401
        assert len(lines_of(disk / "log", "feedback")) == 900
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_stops_under_load_lose_nothing(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Ten times: a request is answered, or its connection was never made."""
    bundle = write(people(), tmp_path / "bundle")
    for turn in range(10):
        running = Running(bundle, *flags, "--log", str(tmp_path / f"log{turn}"))
        over, answers, failed = threading.Event(), [], []

        def ask(url: str = running.url, answers: list = answers, failed: list = failed) -> None:
            while True:
                try:  # a connection for each request: the end meets many that are being made
                    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
                        for _ in range(3):
                            answers.append(client.post("/predict", json=EXAMPLE).status_code)
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    failed.append(error)
                    return

        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(ask) for _ in range(12)]
            while len(answers) < 100 and not over.is_set():
                time.sleep(0.01)
            running.signal(signal.SIGTERM)
            for one in asked:
                one.result(timeout=120)
        running.end()
        assert failed == [] and {*answers} == {200}
        assert len(lines_of(tmp_path / f"log{turn}", "predictions")) == len(answers)
