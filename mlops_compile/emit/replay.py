"""Replays rows through a bundle's own service, over HTTP, and compares every number."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlops_compile.emit.held_out import HeldOut
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.problem import DiffersError, StepError, problem
from mlops_compile.ir.value import Map, canonical, freeze

_SIZES = (1, 2, 3, 7, 20, 100, 1000)  # of batches, in turn
_SAID = ("prediction", "probabilities")
_PATIENCE = 600.0  # seconds until a service is ready: it may compile first


def replay(bundle: Path, python: Path, scratch: Path, contract: Contract, held: HeldOut) -> Map:
    """Start a bundle's service by this Python, and ask it all rows one by one, in another order,
    and in batches of all sizes. How many requests each took, and the digest of the answers.
    DiffersError at the first that is not the evaluated one."""
    manifest = msgspec.json.decode((bundle / "bundle.json").read_bytes())
    described = msgspec.json.decode((bundle / "openapi.json").read_bytes())
    most = _most_records(described)
    order = [*range(len(held.requests))]
    permuted = random.Random(0).sample(order, len(order))
    digest = hashlib.sha256()
    with _served(bundle, python, scratch) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in order:
            answer = _asked(client, held.requests[number])
            if answer.pop("model", None) != manifest["model"]:
                raise _differs(f"the service names another model at {_row(held, number)}")
            _compare(contract, held, number, answer, "alone")
            said = {name: answer[name] for name in _SAID if name in answer}  # not the answer's id
            digest.update(canonical(freeze(said)))
        for number in permuted:
            _compare(contract, held, number, _asked(client, held.requests[number]), "permuted")
        batches = 0
        for numbers in _batches(permuted, most):
            batches += 1
            answers = _asked(client, [held.requests[number] for number in numbers])
            for number, answer in zip(numbers, answers["predictions"], strict=True):
                _compare(contract, held, number, answer, "in a batch")
        scorer = _told(client, "/model")["scorer"]
        client.close()
    counts = {"alone": len(order), "permuted": len(permuted), "batches": batches}
    value = freeze({"requests": counts, "answers": digest.hexdigest(), "scorer": scorer})
    assert isinstance(value, Map)
    return value


def _told(client: http.client.HTTPConnection, path: str) -> Any:
    client.request("GET", path)
    return msgspec.json.decode(client.getresponse().read())


def _most_records(described: Any) -> int:
    """How many records a request may hold, as the service's description says; 100 where it does
    not."""
    body = described["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    kinds = body["schema"].get("oneOf", [])
    return min([int(kind["maxItems"]) for kind in kinds if "maxItems" in kind] or [100])


def _batches(numbers: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    first = turn = 0
    while first < len(numbers):
        size = min(_SIZES[turn % len(_SIZES)], most)
        yield numbers[first : first + size]
        first, turn = first + size, turn + 1


def _asked(client: http.client.HTTPConnection, value: Any) -> Any:
    body = msgspec.json.encode(value)
    try:
        client.request("POST", "/predict", body, {"content-type": "application/json"})
        answer = client.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _broken(f"the service does not answer: {type(error).__name__} {error}") from None
    if answer.status != 200:
        raise _differs(f"the service answers a held-out row with {answer.status}")
    return msgspec.json.decode(text)


def _compare(contract: Contract, held: HeldOut, number: int, answer: Any, how: str) -> None:
    label, scores = held.labels[number], held.scores[number]
    if label is None:
        found = [answer["prediction"]]
    else:
        found = [answer["probabilities"][name] for name in contract.classes]
        if answer["prediction"] != label:
            raise _differs(f"the class of {_row(held, number)} {how} is another")
    if found != scores:
        raise _differs(f"{_row(held, number)} {how} is answered {found}, and {scores} is right")


def _row(held: HeldOut, number: int) -> str:
    return f"row {held.places[number] + 1} of the validated table"


@contextlib.contextmanager
def _served(bundle: Path, python: Path, scratch: Path) -> Iterator[int]:
    """The port of a running service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    own = ("PYTHON", "MLOPS_")  # what a service elsewhere is told: its log, its tokens
    environment = {n: v for n, v in os.environ.items() if not n.startswith(own)}
    environment["XDG_CACHE_HOME"] = str(scratch)  # for what it compiles
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(python), "-B", "app.py", "--port", str(port)],
            cwd=bundle,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            end = time.monotonic() + _PATIENCE
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    lines = said.read().decode(errors="replace").strip().splitlines()
                    raise _broken(f"the service does not start: {lines[-1] if lines else ''}")
                time.sleep(0.05)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_ready(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/health/ready")
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def _differs(message: str) -> DiffersError:
    return DiffersError([problem("unproved", message, hint="do not serve this bundle here")])


def _broken(message: str) -> StepError:
    return StepError([problem("unproved", message)])
