"""Records of runs: read back as they were written, or refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.record import RunRecord, StepResult, decode_record, encode_record
from mlops_compile.ir.value import Map, freeze, parse, thaw
from tests.strategies import BASE, GONE, digests, edited, lock_of, maps, names, places, plain, texts

LOCK = lock_of(BASE)


@st.composite
def records(draw: st.DrawFn, lock: Lock = LOCK) -> RunRecord:
    results = []
    for step in lock.plan.steps:
        status = draw(st.sampled_from(["ran", "hit", "failed", "skipped"]))
        done = status in ("ran", "hit")
        results.append(
            StepResult(
                step=step.name,
                kind=step.kind,
                status=status,
                action=draw(st.sampled_from(["", "ab" * 32])),
                outputs=tuple((p, draw(digests)) for p in step.outputs) if done else (),
                seconds=draw(st.integers(0, 10**6)) / 1000,
                error="" if done else str(freeze(draw(texts))),
            )
        )
    return RunRecord(lock=lock, results=tuple(results), platform=draw(maps), metrics=draw(maps))


RECORD = RunRecord(
    lock=LOCK,
    results=tuple(
        StepResult(
            step=step.name,
            kind=step.kind,
            status="ran",
            action="ab" * 32,
            outputs=tuple((port, freeze_digest) for port in step.outputs),
            seconds=0.5,
        )
        for step in LOCK.plan.steps
        for freeze_digest in [LOCK.source("data").digest]
    ),
    platform=Map({"os": "linux"}),
    metrics=Map({"test": Map({"accuracy": 0.9})}),
)
TEXT = encode_record(RECORD)
PLACES = places(thaw(parse(TEXT)))


@settings(max_examples=30)
@given(records())
def test_round_trip(record: RunRecord) -> None:
    again = decode_record(encode_record(record), record.lock, "record.json")
    assert again == record
    assert encode_record(again) == encode_record(record)
    assert [r.status for r in again.results] == [r.status for r in record.results]
    assert again.ok == record.ok == all(r.status in ("ran", "hit") for r in record.results)


@given(names)
def test_a_result_is_found_by_its_step(name: str) -> None:
    if name in [step.name for step in LOCK.plan.steps]:
        assert RECORD[name].step == name
    else:
        with pytest.raises(KeyError):
            RECORD[name]


def test_time_and_place_are_not_compared() -> None:
    from dataclasses import replace

    slower = tuple(replace(r, seconds=9.0, status="hit") for r in RECORD.results)
    assert replace(RECORD, results=slower, platform=Map()) == RECORD
    assert replace(RECORD, metrics=Map()) != RECORD


def test_the_model_and_the_bundle_are_those_that_were_made() -> None:
    digest = LOCK.source("data").digest.sha256
    assert (RECORD.model, RECORD.bundle) == (digest, digest)
    empty = RunRecord(lock=LOCK, results=())
    assert (empty.model, empty.bundle) == (None, None)


def test_every_truncation_is_refused() -> None:
    for end in range(0, len(TEXT) - 1, 3):
        with pytest.raises(CompileError):
            decode_record(TEXT[:end], LOCK, "record.json")


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in PLACES
        if p[0] not in ("metrics", "evaluation", "platform") and "outputs" not in p[:-1]
    ],
    ids=".".join,
)
def test_a_key_that_is_taken_away_is_missed(path: tuple[str, ...]) -> None:
    if path[0] == "steps" and len(path) == 2:  # a run may have fewer steps
        return
    with pytest.raises(CompileError, match="record"):
        decode_record(edited(TEXT, path, GONE), LOCK, "record.json")


@given(st.sampled_from(PLACES), plain | st.just(GONE))
def test_a_record_edited_anywhere_is_read_as_it_stands_or_refused(path: Any, value: Any) -> None:
    text = edited(TEXT, path, value)
    try:
        record = decode_record(text, LOCK, "record.json")
    except CompileError as error:
        assert error.problems
    else:
        held = {"evaluation": {}, **json.loads(text)}  # an older record has none
        assert json.loads(encode_record(record)) == held


def test_a_record_of_another_lock_is_refused() -> None:
    other = lock_of({**BASE, "seed": 5})
    with pytest.raises(CompileError):
        decode_record(TEXT, other, "record.json")


def test_a_newer_record_is_refused_in_a_sentence() -> None:
    with pytest.raises(CompileError, match="format 2"):
        decode_record(edited(TEXT, ("format",), 2), LOCK, "record.json")


def test_a_record_displays_as_a_table() -> None:
    html = RECORD._repr_html_()
    assert "ok" in html and all(f"<td>{step.name}</td>" in html for step in LOCK.plan.steps)
