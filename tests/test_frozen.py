"""Kind versions are honest: a project of an older version stays all hits under today's code, and
nothing that it makes moves without a new version of the step kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mlops_compile as mc
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Plan
from mlops_compile.ir.value import Map, Value, canonical, leaves
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.kinds import KINDS
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.splits import SPLITS
from tests.frozen_project import (
    LOCKS,
    Made,
    Walk,
    action_row,
    cases,
    compiled,
    locks,
    made_of,
    raised_kinds,
)
from tests.generate_frozen import moved

THEN, MADE = locks(), Made.read()
RAISED = raised_kinds(THEN)
REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements" / "test.txt"
RENEW = "renew it: `python -m tests.generate_frozen` (CONTRIBUTING.md)"
QUICK = ("lightgbm", "logistic_regression", "random_search")


def walked(name: str, lock: Lock) -> Walk:
    walk = Walk(MADE, MADE.cases[name], RAISED)
    walk.lock(lock)
    return walk


@pytest.mark.parametrize("name", THEN)
def test_a_lock_of_an_older_version_is_all_hits(name: str) -> None:
    """On any machine, whatever is installed: by the platform and the versions of then."""
    walk = walked(name, THEN[name])
    assert not walk.wrong, "\n".join([*walk.wrong, "the results of these are lost to everybody"])
    if not RAISED:
        keys = MADE.cases[name]["steps"]
        assert isinstance(keys, Map) and set(walk.checked) >= set(keys)


@pytest.mark.parametrize("name", THEN)
def test_todays_compiler_gives_the_steps_of_then(name: str, tmp_path: Path) -> None:
    """The same config, data and versions: what has no new version is the same step."""
    then = THEN[name]
    now = compiled(name, tmp_path, dict(then.environment))
    assert (now.sources, now.contract, now.code) == (then.sources, then.contract, then.code)
    steps = {step.name: step for step in now.plan.steps}
    for step in then.plan.steps:
        if step.kind not in RAISED:
            assert steps[step.name] == step


@pytest.fixture(scope="module")
def workers() -> Iterator[mc.Workers]:
    with mc.Workers(1) as found:
        yield found


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in THEN]
)
def test_what_is_made_anew_is_what_was_made_then(
    name: str, tmp_path: Path, workers: mc.Workers
) -> None:
    """Where an action has the key that it had, it makes the bytes that it made. Where the platform
    or the installed versions are others, keys are: nothing is claimed of those."""
    record, actions = made_of(name, tmp_path, workers)
    assert record.ok
    known = [key for key in actions if key in MADE.actions]
    moved = [
        f"{actions[key].kind} ({actions[key].step})"
        for key in known
        if action_row(key, actions[key])["outputs"] != MADE.actions[key]["outputs"]
    ]
    assert not moved, f"other bytes from equal causes: raise the version of {', '.join(moved)}"
    if not RAISED and record.lock.environment == THEN[name].environment:
        free = [key for key, action in actions.items() if "platform" not in action.preimage]
        first = [key for key in free if not actions[key].preimage["inputs"]]
        assert first and set(first) <= set(known)  # whatever the machine
    if not RAISED and record.lock == THEN[name] and record.platform == _machine(record.platform):
        assert set(known) == set(actions)


def _machine(here: Map) -> Map:
    """This machine, with what of the frozen platform counts."""
    return Map({**here, **MADE.platform})


@pytest.mark.skipif(not REQUIREMENTS.is_file(), reason="away from the checkout there are none")
def test_the_frozen_versions_are_those_that_are_locked() -> None:
    """Else keys differ, and nothing would be known of bytes."""
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    pins = (Requirement(line.removesuffix("\\").strip()) for line in lines if line[:1].isalnum())
    locked = {pin.name.lower(): {str(p.specifier) for p in [pin]} for pin in pins}
    for lock in THEN.values():
        for name, version in lock.environment:
            assert locked[name] == {f"=={version}"}, f"{name} is {version} there; {RENEW}"


def test_every_sort_of_step_stands_in_it() -> None:
    """A new one has no result of an older version yet; it gets a case of its own."""
    rows = [action["preimage"] for action in MADE.actions.values()]
    texts = canonical(tuple(rows)).decode("utf-8")
    kinds = {str(row["kind"]) for row in rows if isinstance(row, Map)}
    assert kinds == set(KINDS)
    for names, form in (
        (PREPARATIONS, '"{}":'),
        (FAMILIES, '"family":"{}"'),
        (SPLITS, '"kind":"{}"'),
        (FOLDS, '"kind":"{}"'),
    ):
        missing = [name for name in names if form.format(name) not in texts]
        assert not missing, f"no case has {missing}; add one to cases.json, and {RENEW}"
    assert set(cases()) == set(THEN) == set(MADE.cases)


def test_it_is_renewed_once_a_version_has_risen() -> None:
    """Else nothing is known of the kind's keys and bytes; and a version never falls."""
    assert not RAISED, f"other versions than in the frozen project: {sorted(RAISED)}; {RENEW}"


# That the tests can fail


@pytest.mark.skipif(bool(RAISED), reason="the frozen project is to be renewed first")
@pytest.mark.parametrize("name", ["lightgbm", "elastic_net"])
def test_a_changed_slice_or_version_is_noticed(name: str) -> None:
    lock = THEN[name]
    for step in (lock.plan["split"], lock.plan["prepare"]):
        other = replace(step, params=Map({**step.params, "zzz": 1}))
        for changed in (other, replace(step, version=step.version + 1)):
            steps = tuple(changed if s is step else s for s in lock.plan.steps)
            walk = walked(name, replace(lock, plan=Plan(steps=steps)))
            assert any(text.startswith(f"{step.name}: ") for text in walk.wrong)


def test_bytes_that_moved_under_a_key_are_noticed_when_it_is_renewed() -> None:
    key, row = next(iter(MADE.actions.items()))
    (port, *_) = MADE.outputs(key)
    other = Map({port: Digest(sha256="0" * 64, size=1).to_dict()})
    changed = {**MADE.actions, key: Map({**row, "outputs": other})}
    assert moved(MADE, replace(MADE, actions=changed)) == [key]
    assert moved(MADE, replace(MADE, actions={"new": row})) == []


def test_the_fixture_is_small() -> None:
    """It is read by people when it changes."""
    assert sum(file.stat().st_size for file in LOCKS.parent.rglob("*")) < 600_000
    assert all(_is_short(value) for _, value in leaves(Map(MADE.cases)))


def _is_short(value: Value) -> bool:
    return len(canonical(value)) < 10_000
