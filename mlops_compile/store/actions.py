"""Actions: what a step with certain causes made, and the text that certifies itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlops_compile.ir.digest import Digest
from mlops_compile.ir.key import key_of
from mlops_compile.ir.value import Map, Value, canonical, parse

_HEAD = b'{"format":2,"record":'
_SUM = b',"sum":"'
_END = b'"}\n'
_TAIL = len(_SUM) + 64 + len(_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a step made: its outputs by port, and every blob that they consist of.

    `preimage` is what its key was made of, `plan` the plan key of the run that made it. `seconds`
    is the wall time of the work, `memory` its peak in bytes, `made` the Unix time when it was done.
    `about` holds facts for people (rows, location and size of a source); it is never part of a key.
    """

    step: str
    kind: str
    preimage: Map
    outputs: tuple[tuple[str, Digest], ...]
    blobs: tuple[Digest, ...]
    seconds: float
    plan: str = ""
    memory: int = 0
    made: float = 0.0
    about: Map = field(default_factory=Map)

    @property
    def platformless(self) -> str:
        """The key that its causes have when the machine is left out."""
        causes = {name: value for name, value in self.preimage.items() if name != "platform"}
        return key_of(Map(causes))


def encode_action(key: str, action: Action) -> bytes:
    """The text of a record: canonical JSON, and the sha256 of that."""
    record = canonical(
        Map(
            {
                "key": key,
                "step": action.step,
                "kind": action.kind,
                "preimage": action.preimage,
                "outputs": Map({port: digest.to_dict() for port, digest in action.outputs}),
                "blobs": tuple(digest.to_dict() for digest in action.blobs),
                "seconds": round(float(action.seconds), 6),
                "plan": action.plan,
                "memory": action.memory,
                "made": float(action.made),
                "about": action.about,
            }
        )
    )
    return b"".join((_HEAD, record, _SUM, hashlib.sha256(record).hexdigest().encode(), _END))


def decode_action(key: str, text: bytes) -> Action:
    """The action of a record; ValueError where the text is not, byte for byte, what was written
    for that key."""
    record, tail = text[len(_HEAD) : -_TAIL], text[-_TAIL:]
    told = b"".join((_SUM, hashlib.sha256(record).hexdigest().encode(), _END))
    if not text.startswith(_HEAD) or tail != told:
        raise ValueError("its sum does not fit, or its format is not known")
    value = parse(record)
    if not isinstance(value, Map) or value.get("key") != key:
        raise ValueError("it is the record of another key")
    return _action(value)


def _action(value: Map) -> Action:
    preimage, outputs, blobs = value["preimage"], value["outputs"], value["blobs"]
    about, memory = value["about"], value["memory"]
    if not (isinstance(preimage, Map) and isinstance(outputs, Map) and isinstance(about, Map)):
        raise ValueError("a part of it is no object")
    if not isinstance(blobs, tuple) or not isinstance(memory, int):
        raise ValueError("its blobs are no list, or its memory is no number")
    return Action(
        step=str(value["step"]),
        kind=str(value["kind"]),
        preimage=preimage,
        outputs=tuple((port, Digest.from_dict(item)) for port, item in outputs.items()),
        blobs=tuple(Digest.from_dict(item) for item in blobs),
        seconds=_number(value["seconds"]),
        plan=str(value["plan"]),
        memory=memory,
        made=_number(value["made"]),
        about=about,
    )


def _number(value: Value) -> float:
    if not isinstance(value, int | float):
        raise ValueError("a time is no number")
    return float(value)


class Records:
    """The files of actions, one a key: what they say is true, whatever the index says."""

    def __init__(self, root: Path) -> None:
        self._root = root / "actions"

    def place(self, key: str) -> Path:
        """Where a record is, or would be."""
        return self._root / key[:2] / f"{key}.json"

    def read(self, key: str) -> Action | None:
        """The action of a key; None if there is none, or if its record is damaged."""
        try:
            return self.examine(key)
        except (OSError, ValueError, KeyError, OverflowError):
            return None

    def examine(self, key: str) -> Action:
        """The same, but for the error that says why there is none."""
        return decode_action(key, self.place(key).read_bytes())

    def every_key(self) -> Iterator[str]:
        """The keys of all records that there are, damaged ones too."""
        for path in self._root.glob("*/*.json"):
            yield path.stem
