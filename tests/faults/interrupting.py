"""SIGINT into a process that goes on: it can run again, and nothing of the run is left in it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from typing import Any

from tests.faults.victim import Victim

_ROUNDS = 6
_LEFT = ("threads", "workers", "claims", "scratch")


def interrupted(victim: Victim, draw: random.Random, seconds: float) -> None:
    """SIGINT at random moments of runs in one process, by the Python API; each time it runs the
    plan again to its end."""
    victim.empty()
    process = victim.start("looping", draw.choice(["warm", "own"]))
    try:
        _answer(victim, process)
        began = time.monotonic()
        first = _goes_well(victim, process)
        longest = time.monotonic() - began
        for _ in range(_ROUNDS):
            if draw.random() < 0.7:
                victim.empty()
            _go(process)
            time.sleep(draw.uniform(0, longest))
            process.send_signal(signal.SIGINT)
            _is_clean(victim, _answer(victim, process), first)
            victim.nothing_wrong_is_readable()
            _is_clean(victim, _goes_well(victim, process), first)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0, f"{victim.what}: it ended with {process.returncode}"
        assert not victim.processes(), f"{victim.what}: a process of it lives on"
    finally:
        process.kill()
        process.wait()
    victim.recovers(clean=True)


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def _answer(victim: Victim, process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"{victim.what}: {process.stderr.read()}")
    found: dict[str, Any] = json.loads(line)
    return found


def _goes_well(victim: Victim, process: subprocess.Popen[str]) -> dict[str, Any]:
    """A run that nobody disturbs."""
    _go(process)
    told = _answer(victim, process)
    assert told["ended"] == "well", f"{victim.what}: {told}"
    true = {step: [d.sha256 for _, d in out] for step, out in victim.truth.by_step.items()}
    assert told["digests"] == true, f"{victim.what}: {told}"
    return told


def _is_clean(victim: Victim, told: dict[str, Any], first: dict[str, Any]) -> None:
    """A run left nothing behind, however it ended."""
    assert not any(told[name] for name in _LEFT), f"{victim.what}: {told}"
    assert told["descriptors"] <= first["descriptors"], f"{victim.what}: {told}, first {first}"
