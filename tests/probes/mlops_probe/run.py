"""What the steps of tests do, by their params under `probe`:

text: enters the output. cut: the output is the text alone, whatever the inputs are. fail: end with
this sentence. leave: call sys.exit. bug: raise something that no one expects. print, warn: say
something. exit: end the process with this code. seconds: take this long. memory: take so many MiB.
files: how many files a tree has. fails: a file that counts the tries, and how many of them fail.
size: how many bytes the output has at least. threads: a file that is told how many threads the step
may use. chance: the output differs from run to run. disk: write until there is no room. meet: make
the first file and wait for the second. alone: a file that no other step may hold meanwhile.
started: a file to make. hoard: keep so many MiB for as long as the process lives. exits: as fails,
but the process ends. read: a file to read. errno: fail with this error of the system. nowhere:
write where there is no directory.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from mlops_compile.ir.problem import StepError, problem
from mlops_compile.ir.value import thaw
from mlops_compile.steps.kind import Work

_HOARD: list[bytearray] = []


def run(work: Work) -> None:
    """Do what the params say, then write the output."""
    asked: dict[str, Any] = thaw(work.params.get("probe", {}))  # type: ignore[arg-type]
    _say(asked)
    if "threads" in asked:
        with Path(asked["threads"]).open("a") as file:
            file.write(f"{work.step} {work.threads}\n")
    if "memory" in asked:
        held = bytearray(asked["memory"] << 20)
        for place in range(0, len(held), 4096):
            held[place] = 1
    if "hoard" in asked:
        _HOARD.append(bytearray(os.urandom(1 << 20) * asked["hoard"]))
    if "started" in asked:
        Path(asked["started"]).touch()
    if "meet" in asked:
        _meet(*map(Path, asked["meet"]))
    if "alone" in asked:
        os.close(os.open(asked["alone"], os.O_CREAT | os.O_EXCL))
        time.sleep(0.02)
        os.unlink(asked["alone"])
    time.sleep(asked.get("seconds", 0))
    if "spin" in asked:  # in C, and with the interpreter's lock held
        ctypes.PyDLL(None).usleep(int(asked["spin"] * 1e6))
    if "exit" in asked:
        os._exit(asked["exit"])
    if asked.get("nowhere"):
        (work.outputs["out"].parent / "no" / "way").write_bytes(b"")
    _fail(asked)
    _write(work, asked)


def _say(asked: dict[str, Any]) -> None:
    if "print" in asked:
        print(asked["print"], flush=True)
        os.write(2, b"from below\n")
    if "warn" in asked:
        warnings.warn(asked["warn"], stacklevel=1)


def _meet(mine: Path, other: Path) -> None:
    mine.touch()
    for _ in range(4000):
        if other.exists():
            return
        time.sleep(0.005)
    raise RuntimeError(f"{other.name} never came")


def _fail(asked: dict[str, Any]) -> None:
    if "exits" in asked and _tried(*asked["exits"]):
        os._exit(3)
    if "read" in asked:
        Path(asked["read"]).read_bytes()
    if "errno" in asked:
        raise OSError(asked["errno"], os.strerror(asked["errno"]))
    if "fails" in asked and _tried(*asked["fails"]):
        raise StepError([problem("failed", "the probe failed by chance")])
    if "fail" in asked:
        raise StepError([problem("failed", asked["fail"])])
    if "leave" in asked:
        sys.exit(asked["leave"])
    if "bug" in asked:
        raise RuntimeError(asked["bug"])


def _tried(place: str, most: int) -> bool:
    """Count a try; whether it is one of the first so many."""
    with Path(place).open("a") as file:
        file.write(".")
    return Path(place).stat().st_size <= most


def _write(work: Work, asked: dict[str, Any]) -> None:
    text = hashlib.sha256(asked.get("text", "").encode())
    if not asked.get("cut"):
        for port in sorted(work.inputs):
            whole = work.inputs[port]
            parts = (
                sorted(p for p in whole.rglob("*") if p.is_file()) if whole.is_dir() else [whole]
            )
            for part in parts:
                text.update(part.read_bytes())
    if asked.get("chance"):
        text.update(os.urandom(8))
    data = text.hexdigest().encode() * (1 + asked.get("size", 0) // 64)
    out = work.outputs["out"]
    if out.is_dir():
        for number in range(asked.get("files", 2)):
            place = out / f"{number % 10}" / f"{number}.txt"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data + str(number).encode())
    else:
        out.write_bytes(data)
    if asked.get("disk"):
        with out.open("ab") as file:
            while True:
                file.write(bytes(1 << 20))
    sys.stdout.flush()
