"""`bundle --prove`: what differs is told, and so is what cannot be tried."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops_compile.emit.held_out import HeldOut, held_out
from mlops_compile.emit.replay import replay
from mlops_compile.ir.problem import DiffersError, StepError
from tests.bundles import CLASSES, Made, make
from tests.project import mlops


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("proof"))


def _held(made: Made) -> HeldOut:
    blobs, record = made.state.store.blobs, made.record
    table = blobs.read(record["validate"].output("table"))
    predictions = blobs.read(record["evaluate"].output("predictions"))
    contract = record.lock.contract
    names = [field.name for field in contract.request]
    return held_out(table, predictions, names, contract.classes, 20_000)


def _replay(made: Made, held: HeldOut) -> Any:
    cache = made.project / "cache"
    cache.mkdir(exist_ok=True)
    return replay(made.bundle, Path(sys.executable), cache, made.record.lock.contract, held)


def test_the_same_proof_is_the_same_statement(made: Made) -> None:
    held = _held(made)
    first = _replay(made, held)
    assert first == _replay(made, held)
    count = len(held.requests)
    requests = first["requests"]
    assert (requests["alone"], requests["permuted"]) == (count, count) and requests["batches"] > 5


def _last_score(held: HeldOut) -> HeldOut:
    *others, (first, last) = held.scores
    return replace(held, scores=[*others, [first, last + 2.0**-53]])


def _last_label(held: HeldOut) -> HeldOut:
    *others, last = held.labels
    other = CLASSES[0] if last == CLASSES[1] else CLASSES[1]
    return replace(held, labels=[*others, other])


def _fewer_fields(held: HeldOut) -> HeldOut:
    return replace(held, requests=[{}, *held.requests[1:]])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_last_score, "is answered .* is right"),
        (_last_label, "the class of row .* alone is another"),
        (_fewer_fields, "answers a held-out row with 422"),
    ],
)
def test_one_bit_that_differs_is_told(
    made: Made, change: Callable[[HeldOut], HeldOut], says: str
) -> None:
    with pytest.raises(DiffersError, match=says) as caught:
        _replay(made, change(_held(made)))
    assert caught.value.exit_code == 4


def test_a_service_that_does_not_start_is_told(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "app.py").write_text("raise SystemExit('no wind')")
    with pytest.raises(StepError, match="the service does not start: no wind"):
        _replay(replace(made, bundle=tmp_path / "bundle"), _held(made))


@pytest.mark.slow
def test_without_an_index_there_is_a_sentence(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # without uv
    words = ("bundle", made.record.bundle, "-o", str(tmp_path / "out"), "--prove")
    done = mlops(made.project, *words)
    assert done.code == 5
    assert "no environment with the bundle's requirements can be made" in done.err
    assert not [*tmp_path.iterdir()]
