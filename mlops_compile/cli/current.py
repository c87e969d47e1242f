"""Whether a committed lock is what the config compiles to, and in what it differs."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.locks import in_newest_format, read_any, read_document
from mlops_compile.ir.lock import Lock, to_value
from mlops_compile.ir.problem import StaleError, problem
from mlops_compile.ir.sweep import Sweep, sweep_value
from mlops_compile.ir.value import Map, Value, canonical, dotted, leaves, same

_MOST = 20
_HINT = "write it again with `mlops-compile compile`; `mlops-compile diff` says what that changes"


def check_current(lock: Lock | Sweep, file: Path) -> None:
    """StaleError, with what differs, if the file is not this lock."""
    if not file.exists():
        hint = "write it with `mlops-compile compile`"
        raise StaleError([problem("no-lock", f"there is no lock {file}", hint=hint)])
    committed = in_newest_format(read_document(file), str(file))
    compiled = sweep_value(lock) if isinstance(lock, Sweep) else to_value(lock)
    if same(committed, compiled):
        return
    read_any(file)  # one that is broken is told as such
    old, new = _leaves(committed), _leaves(compiled)
    differs = [path for path in sorted({*old, *new}) if not same(old.get(path), new.get(path))]
    lines = [
        f"{dotted(path)}: {_text(old.get(path))} -> {_text(new.get(path))}"
        for path in differs[:_MOST]
    ]
    more = [f"and {len(differs) - _MOST} more"] if len(differs) > _MOST else []
    message = "\n  ".join([f"{file} is not what the config compiles to:", *lines, *more])
    raise StaleError([problem("stale", message, hint=_HINT)])


def _leaves(value: Map) -> dict[tuple[str, ...], Value]:
    """The leaves of a lock; points of a sweep are told apart by their numbers."""
    points = value.get("points")
    if isinstance(points, tuple):
        value = Map({**value, "points": Map({str(n): point for n, point in enumerate(points)})})
    return dict(leaves(value))


def _text(value: Value) -> str:
    return canonical(value).decode("utf-8")
