"""Actions by key: what a step with these causes made, and what the key was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.store.files import write_atomic

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a step made: its outputs by port, and every blob that they consist of.

    `preimage` is what its key was made of; `seconds` the wall time of the work.
    """

    step: str
    kind: str
    preimage: Map
    outputs: tuple[tuple[str, Digest], ...]
    blobs: tuple[Digest, ...]
    seconds: float


class ActionStore:
    """Records of actions, one file a key."""

    def __init__(self, root: Path) -> None:
        self._root = root / "actions"

    def get(self, key: str) -> Action | None:
        """The action of a key; None if there is none, or if its record cannot be read."""
        try:
            value = parse(self._place(key).read_bytes())
            return _decode(value)
        except (OSError, ValueError, KeyError, OverflowError):
            return None

    def put(self, key: str, action: Action) -> None:
        """Record an action, after all of its blobs are in the store."""
        value = Map(
            {
                "format": _FORMAT,
                "step": action.step,
                "kind": action.kind,
                "preimage": action.preimage,
                "outputs": Map({port: digest.to_dict() for port, digest in action.outputs}),
                "blobs": tuple(digest.to_dict() for digest in action.blobs),
                "seconds": round(action.seconds, 6),
            }
        )
        write_atomic(self._place(key), pretty(value).encode("utf-8"))

    def of_kind(self, kind: str) -> tuple[Action, ...]:
        """Every readable action of a kind, the latest recorded first."""
        files = [(path.stat().st_mtime_ns, path.name) for path in self._root.glob("*/*.json")]
        found = (self.get(name.removesuffix(".json")) for _, name in sorted(files, reverse=True))
        return tuple(action for action in found if action is not None and action.kind == kind)

    def _place(self, key: str) -> Path:
        return self._root / key[:2] / f"{key}.json"


def _decode(value: Value) -> Action:
    if not isinstance(value, Map) or value["format"] != _FORMAT:
        raise ValueError("no action of a known format")
    outputs, blobs, preimage = value["outputs"], value["blobs"], value["preimage"]
    seconds = value["seconds"]
    if not (isinstance(outputs, Map) and isinstance(blobs, tuple) and isinstance(preimage, Map)):
        raise ValueError("an action is broken")
    if not isinstance(seconds, int | float):
        raise ValueError("an action is broken")
    return Action(
        step=str(value["step"]),
        kind=str(value["kind"]),
        preimage=preimage,
        outputs=tuple((port, Digest.from_dict(item)) for port, item in outputs.items()),
        blobs=tuple(Digest.from_dict(item) for item in blobs),
        seconds=float(seconds),
    )
