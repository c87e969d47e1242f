"""Locks of older formats are read as today's, and the first ones that there were are read still."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlops_compile.api.locks import in_newest_format
from mlops_compile.compiler.merging.locks import merge_locks
from mlops_compile.ir import lock as locks
from mlops_compile.ir.lock import decode, encode, parse_document
from mlops_compile.ir.lock_format import Upgrade, upgraded
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.sweep import decode_sweep
from mlops_compile.ir.value import Map, freeze, parse, pretty, thaw
from tests.project import apart, good, make, mlops
from tests.strategies import BASE, edited, lock_of

FROZEN = Path(__file__).parent / "frozen" / "locks"
FIRST, SWEEP = (FROZEN / name for name in ("first.json", "first_sweep.json"))


def labelled(value: Map) -> Map:
    """What no move of keys can do: texts become maps."""
    versions = value["environment"]
    assert isinstance(versions, Map)
    table = Map({name: Map({"version": text}) for name, text in versions.items()})
    return Map({**value, "environment": table})


# Two formats that there could be.
UPGRADES = (
    Upgrade(
        moved=(
            (("steps", "*", "takes"), ("steps", "*", "inputs")),
            (("steps", "*", "params", "learner"), ("steps", "*", "params", "model")),
            (("data",), ("sources", "data")),
        )
    ),
    Upgrade(moved=((("service",), ("contract",)),), rewritten=labelled),
)


def read(value: Any) -> Any:
    frozen = freeze(value)
    assert isinstance(frozen, Map)
    return thaw(upgraded(frozen, UPGRADES))


def test_keys_move_through_every_format() -> None:
    train = {"takes": {"a": "x.y"}, "params": {"learner": 1, "seed": 2}}
    old = {
        "format": 1,
        "steps": {"train": train, "split": {"takes": {}}},
        "data": {"rows": 3},
        "service": {"request": {}},
        "environment": {"numpy": "2.4"},
    }
    assert read(old) == {
        "format": 3,
        "steps": {
            "train": {"inputs": {"a": "x.y"}, "params": {"model": 1, "seed": 2}},
            "split": {"inputs": {}},
        },
        "sources": {"data": {"rows": 3}},
        "contract": {"request": {}},
        "environment": {"numpy": {"version": "2.4"}},
    }


def test_a_format_is_only_asked_for_what_came_after_it() -> None:
    held = {"format": 2, "service": {}, "data": {}, "environment": {}}
    assert read(held) == {"format": 3, "contract": {}, "data": {}, "environment": {}}
    newest = freeze({"format": 3, "service": {}, "environment": {"numpy": "2.4"}})
    assert isinstance(newest, Map)
    assert upgraded(newest, UPGRADES) is newest


def backwards(text: str) -> str:
    """A lock, as format 1 would have had it, before keys of steps got their names."""
    value = json.loads(text)
    for point in (value, *(row.get("set", {}) for row in value.get("points", ()))):
        for step in point.get("steps", {}).values():
            if "inputs" in step:
                step["takes"] = step.pop("inputs")
    frozen = freeze(value)
    return pretty(frozen)


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose newest format is 2."""
    found = Upgrade(moved=((("steps", "*", "takes"), ("steps", "*", "inputs")),))
    monkeypatch.setattr(locks, "upgraded", partial(upgraded, upgrades=(found,)))
    for module in ("ir.lock", "ir.lock_format", "ir.record", "api.locks"):
        monkeypatch.setattr(f"mlops_compile.{module}.FORMAT", 2)


def test_a_lock_of_an_older_format_is_the_lock_that_it_was(newer: None) -> None:
    lock = lock_of(BASE)
    old = backwards(encode(lock)).replace('"format": 2', '"format": 1')
    assert decode(old) == lock and encode(decode(old)) == encode(lock) != old
    with pytest.raises(CompileError, match="reads up to format 2"):
        decode(edited(old, ("format",), 3))
    with pytest.raises(CompileError, match="not known in format 2"):
        decode(edited(old, ("steps", "train", "zzz"), 1))


def test_older_locks_of_plans_runs_and_sweeps_serve_as_those_of_today(
    tmp_path: Path, newer: None
) -> None:
    project = make(tmp_path / "shop")
    for words in ((), ("-m", "seed=0,1", "model.params.num_leaves=7,9")):
        good(project, "compile", *words)
        file = project / "plan.lock.json"
        text = file.read_text("utf-8")
        file.write_text(backwards(text).replace('"format": 2', '"format": 1'), "utf-8")
        good(project, "compile", "--locked", *words)  # what it says is what compiling gives
        value = parse_document(file.read_text("utf-8"), "it")
        assert pretty(in_newest_format(value, "it")) == text
        good(project, "compile", *words)
        assert file.read_text("utf-8") == text


def test_the_first_locks_that_there_were_are_read() -> None:
    first = decode(FIRST.read_text("utf-8"))
    assert encode(first) == FIRST.read_text("utf-8")
    assert {step.name for step in first.plan.steps} >= {"acquire", "train", "package"}
    value = parse(SWEEP.read_text("utf-8"))
    assert isinstance(value, Map)
    sweep = decode_sweep(value, "it")
    assert sweep.text == SWEEP.read_text("utf-8") and len(sweep.points) == 4


def test_the_first_locks_are_compared_and_not_run_or_merged_as_if_they_were_of_today(
    tmp_path: Path,
) -> None:
    """Steps have other versions by now: a review says so, and to run them they are compiled."""
    assert "version of the step kind train" in good(tmp_path, "diff", str(FIRST), "conf:").out
    answer = apart(tmp_path, "run", "--plan", str(FIRST))
    assert answer.code == 3
    assert "the lock has version 1 of the step kind 'train'; this version runs" in answer.err
    assert "write the lock again with `mlops-compile compile`" in answer.err
    answer = mlops(tmp_path, "compile", "--locked", "-o", str(FIRST))
    assert answer.code == 4
    first, now = decode(FIRST.read_text("utf-8")), lock_of(BASE)
    with pytest.raises(CompileError, match="not as this version of mlops-compile writes it"):
        merge_locks(first, now, lock_of({**BASE, "seed": 3}))
