"""What a run and its workers say to each other: one line of JSON a message, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_compile.ir.code import Code, LocatedCode
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.source import Source
from mlops_compile.ir.value import Map, freeze, thaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A step for a worker to run: what it reads, and a room of its own for what it writes.

    `inputs` are digests of blobs of the store at `store`; of those in `trees` it reads directories,
    and those in `sound` need not be verified, since they were in this run. Sources are found
    from `project`. The room holds `out/PORT` for each output, and `log`: what the step's libraries
    print. Where `tells_begin`, the worker says how much memory it holds before the step's own work
    begins.
    """

    step: str
    kind: str
    params: Map
    store: Path
    inputs: Mapping[str, Digest]
    trees: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    outputs: tuple[str, ...]
    project: Path
    room: Path
    threads: int
    key: str = ""
    seed: int | None = None
    source: Source | None = None
    contract: Contract | None = None
    tells_begin: bool = False
    code: LocatedCode | None = None

    def output(self, port: str) -> Path:
        """Where an output is to be written."""
        return self.room / "out" / port

    @property
    def log(self) -> Path:
        return self.room / "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended in its worker.

    `files` are the files in the job's room that become blobs, with their digests. `lost` are the
    ports of inputs that the store has no longer, or whose bytes were wrong: the step has not begun.
    Without these and `problems` it went well. `final`: it would end like this again, so that it is
    not tried again even where its kind allows that. `seconds` is the wall time of the work, what it
    reads being there; `memory` the peak of the worker's memory in bytes (0: not known). `told` are
    facts for people that the step tells of itself.
    """

    outputs: tuple[tuple[str, Digest], ...] = ()
    files: tuple[tuple[Path, Digest], ...] = ()
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    exit_code: int = 0
    final: bool = False
    seconds: float = 0.0
    memory: int = 0
    told: Map = field(default_factory=Map)


def encode_job(job: Job) -> bytes:
    """The line of a job."""
    return _line(
        {
            "step": job.step,
            "kind": job.kind,
            "params": thaw(job.params),
            "store": str(job.store),
            "inputs": {port: thaw(digest.to_dict()) for port, digest in job.inputs.items()},
            "trees": job.trees,
            "sound": job.sound,
            "outputs": job.outputs,
            "project": str(job.project),
            "room": str(job.room),
            "threads": job.threads,
            "key": job.key,
            "seed": job.seed,
            "source": thaw(job.source.to_dict()) if job.source else None,
            "contract": thaw(job.contract.to_dict()) if job.contract else None,
            "tells_begin": job.tells_begin,
            "code": thaw(job.code.code.to_dict()) if job.code else None,
            "roots": [str(root) for root in job.code.roots] if job.code else [],
        }
    )


def decode_job(line: bytes) -> Job:
    """The job of a line that `encode_job` wrote."""
    value = json.loads(line)
    return Job(
        step=value["step"],
        kind=value["kind"],
        params=_map(value["params"]),
        store=Path(value["store"]),
        inputs={port: _digest(digest) for port, digest in value["inputs"].items()},
        trees=tuple(value["trees"]),
        sound=tuple(value["sound"]),
        outputs=tuple(value["outputs"]),
        project=Path(value["project"]),
        room=Path(value["room"]),
        threads=value["threads"],
        key=value["key"],
        seed=value["seed"],
        source=Source.from_dict(_map(value["source"])) if value["source"] else None,
        contract=Contract.from_dict(_map(value["contract"])) if value["contract"] else None,
        tells_begin=value["tells_begin"],
        code=_code(value["code"], value["roots"]) if value["code"] else None,
    )


def _code(code: Any, roots: list[str]) -> LocatedCode:
    return LocatedCode(code=Code.from_dict(_map(code)), roots=tuple(map(Path, roots)))


def encode_outcome(outcome: Outcome) -> bytes:
    """The line of an outcome."""
    return _line(
        {
            "outputs": {port: thaw(digest.to_dict()) for port, digest in outcome.outputs},
            "files": [(str(path), thaw(digest.to_dict())) for path, digest in outcome.files],
            "lost": outcome.lost,
            "notes": outcome.notes,
            "problems": [_problem_value(found) for found in outcome.problems],
            "exit_code": outcome.exit_code,
            "final": outcome.final,
            "seconds": outcome.seconds,
            "memory": outcome.memory,
            "told": thaw(outcome.told),
        }
    )


def decode_outcome(line: bytes) -> Outcome:
    """The outcome of a line that `encode_outcome` wrote."""
    value = json.loads(line)
    return Outcome(
        outputs=tuple((port, _digest(digest)) for port, digest in value["outputs"].items()),
        files=tuple((Path(path), _digest(digest)) for path, digest in value["files"]),
        lost=tuple(value["lost"]),
        notes=tuple(value["notes"]),
        problems=tuple(
            Problem(**{**found, "where": tuple(found["where"])}) for found in value["problems"]
        ),
        exit_code=value["exit_code"],
        final=value["final"],
        seconds=value["seconds"],
        memory=value["memory"],
        told=_map(value["told"]),
    )


def encode_ahead(modules: tuple[str, ...]) -> bytes:
    """The line that asks a worker to import modules before a job needs them."""
    return _line({"ahead": modules})


def decode_ahead(line: bytes) -> tuple[str, ...] | None:
    """The modules of such a line; None for a job."""
    if not line.startswith(b'{"ahead"'):
        return None
    return tuple(json.loads(line)["ahead"])


def encode_begin(memory: int) -> bytes:
    """The line by which a worker says what it holds, in bytes, before a step's own work begins."""
    return _line({"begin": memory})


def decode_begin(line: bytes) -> int | None:
    """The bytes of such a line; None for an outcome."""
    return int(json.loads(line)["begin"]) if line.startswith(b'{"begin"') else None


def _line(value: dict[str, Any]) -> bytes:
    """ASCII: a path whose bytes are no text passes as it is. Not canonical: a path is kept in the
    form that the file system gave it."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _problem_value(found: Problem) -> dict[str, Any]:
    return {
        "code": found.code,
        "where": found.where,
        "message": found.message,
        "hint": found.hint,
        "by_key": found.by_key,
        "note": found.note,
    }


def _digest(value: dict[str, Any]) -> Digest:
    return Digest(sha256=value["digest"], size=value["size"])


def _map(value: Any) -> Map:
    frozen = freeze(value)
    assert isinstance(frozen, Map)
    return frozen
