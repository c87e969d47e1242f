"""Proves a bundle where it will run: in a new environment that has its requirements alone."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mlops_compile.api.models import checkout_bundle, find_bundle
from mlops_compile.api.registering import Place
from mlops_compile.api.state import State
from mlops_compile.emit.batches import SORTS, differences
from mlops_compile.emit.environments import about, compiler, environment_of
from mlops_compile.emit.held_out import HeldOut, held_out
from mlops_compile.emit.replay import replay
from mlops_compile.ir.contract import Contract
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.problem import CompileError, DiffersError, problem
from mlops_compile.ir.value import Map, Value, freeze, parse, pick
from mlops_compile.steps.targets import TARGETS

_MOST_ROWS = 20_000
_COMPILED = "scorer.c"


def prove_bundle(model: str, place: Place) -> Map:
    """Replay the held-out rows through the bundle of a model, in a new environment: what was asked,
    and what it was that answered as the evaluated model did, to the last bit.

    It names no time and no host: the same proof, the same bytes. CompileError where there is no
    such model, StepError where the bundle cannot be run, DiffersError where it answers otherwise.
    """
    digest, state = find_bundle(model, place), place.state
    with tempfile.TemporaryDirectory(prefix="mlops-prove-") as scratch:
        bundle, cache = Path(scratch) / "bundle", Path(scratch) / "cache"
        checkout_bundle(digest.sha256, place, bundle)
        cache.mkdir()
        manifest = parse((bundle / "bundle.json").read_bytes())
        assert isinstance(manifest, Map) and isinstance(manifest["contract"], Map)
        contract = Contract.from_dict(manifest["contract"])
        evaluated = _inputs(digest, state)
        table, predictions = (
            state.store.blobs.read(evaluated[n]) for n in ("table", "predictions")
        )
        names = [field.name for field in contract.request]
        held = held_out(table, predictions, names, contract.classes, _MOST_ROWS)
        python = environment_of(bundle / "requirements.txt", Path(scratch) / "environment")
        if TARGETS[str(manifest["target"])].serves:
            found = replay(bundle, python, cache, contract, held)
        else:
            found = _commanded(bundle, python, cache, contract, held)
        what: dict[str, Value] = {
            "format": 1,
            "bundle": digest.sha256,
            "model": manifest["model"],
            "target": manifest["target"],
            "predictions": evaluated["predictions"].sha256,
            "rows": len(held.requests),
            "compiler": compiler() if _is_compiled(bundle, found) else None,
        }
        return Map({**what, **found, "environment": freeze(dict(about(python)))})


def _is_compiled(bundle: Path, found: Map) -> bool:
    """Whether what answered was compiled: a service says so; a command proves C alone."""
    return (bundle / _COMPILED).exists() and found.get("scorer", "C") == "C"


def _commanded(bundle: Path, python: Path, cache: Path, contract: Contract, held: HeldOut) -> Map:
    """The same for a command that scores files: the rows in order, then in another."""
    order = random.Random(0).sample(range(len(held.requests)), len(held.requests))
    permuted = replace(
        held,
        requests=[held.requests[number] for number in order],
        scores=[held.scores[number] for number in order],
        labels=[held.labels[number] for number in order],
    )
    sorts = [pair for pair in SORTS if "parquet" not in pair]  # which needs more than is required
    for rows in (held, permuted):
        found: Iterator[str] = differences(
            *(bundle, cache, contract, rows.requests, rows.scores, rows.labels),
            python=str(python),
            sorts=sorts,
        )
        for sentence in found:
            hint = "do not use this bundle here"
            raise DiffersError([problem("unproved", sentence, hint=hint)])
    return Map({"files": tuple(sort for sort, _ in sorts)})


def _inputs(bundle: Digest, state: State) -> dict[str, Digest]:
    """The table and the predictions that a bundle was made of, as the store has them."""
    for action in state.store.of_kind("package"):
        if bundle in dict(action.outputs).values():
            made = {
                digest.sha256: digest
                for kind in ("validate", "evaluate")
                for other in state.store.of_kind(kind)
                for _, digest in other.outputs
            }
            names = {n: str(pick(action.preimage, ("inputs", n))) for n in ("table", "predictions")}
            if all(name in made for name in names.values()):
                return {port: made[name] for port, name in names.items()}
    message = f"the store has not the rows that bundle {bundle.sha256[:12]} was evaluated on"
    hint = "run it again where its project is: what is there already is not made anew"
    raise CompileError([problem("no-model", message, hint=hint)])
