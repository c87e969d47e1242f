"""Counts of a service's processes are added up, whatever ends while they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlops_compile.emit.render import environment

SAMPLE = ("mlops_feedback_total", ())


@pytest.fixture
def metrics() -> ModuleType:
    module = ModuleType("metrics")
    text = environment().get_template("service/metrics.py").render()
    exec(text, module.__dict__)
    return module


def written(directory: Path, process: int, count: float) -> None:
    """The file of a process that counted."""
    head = json.dumps([SAMPLE]).encode("ascii")
    start = -(-(len(head) + 1) // 8) * 8
    number = memoryview(bytearray(8)).cast("d")
    number[0] = count
    data = head.ljust(start - 1) + b"\n" + number.tobytes()
    (directory / f"{process}.values").write_bytes(data)


@pytest.mark.parametrize("when", ["_ended", "_read"])
def test_who_ends_while_counts_are_read_is_counted_once(
    metrics: ModuleType, when: str, tmp_path: Path
) -> None:
    """Between any two looks at the directory."""
    for process in (1, 2, 3):
        written(tmp_path, process, 10.0**process)
    metrics.end(tmp_path, 3)
    look: Callable[..., Any] = getattr(metrics, when)
    ending = [1, 2]

    def looked(*words: Any) -> Any:
        found = look(*words)
        if ending:
            setattr(metrics, when, look)
            metrics.end(tmp_path, ending.pop())
            setattr(metrics, when, looked)
        return found

    setattr(metrics, when, looked)
    assert metrics.total(tmp_path) == {SAMPLE: 1110.0}
    assert not ending
