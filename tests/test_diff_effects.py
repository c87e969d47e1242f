"""What a diff says of the steps of a new plan is what a run of it does."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.api.diffing import diff
from mlops_compile.execute.pool import Workers
from mlops_compile.ir.key import Needs
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.memo import Memo
from mlops_compile.ir.merging import plan_keys
from mlops_compile.ir.plan import Step
from mlops_compile.ir.review import Review
from mlops_compile.steps.kinds import asked_of
from tests.probe import Probes
from tests.project import make
from tests.test_engine import graphs, steps_of, texts
from tests.warm import Warm

# DIFF_EXAMPLES=100 looks for longer, and elsewhere each time.
_EXAMPLES = os.environ.get("DIFF_EXAMPLES")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


def said(review: Review) -> dict[str, str]:
    return {step.name: step.effect for step in review.change.steps if step.effect}


def check(said: dict[str, str], statuses: dict[str, str]) -> None:
    """`hit` never runs and `run` never hits; every step is spoken of."""
    assert said.keys() == statuses.keys()
    for name, effect in said.items():
        if effect == "hit":
            assert statuses[name] == "hit", name
        if effect == "run":
            assert statuses[name] in ("ran", "failed"), name


def check_keys(review: Review, old: Lock, new: Lock) -> None:
    """A step is the same just where its plan key is; every difference has a cause, or comes from
    another step."""
    before, after = (plan_keys(lock, needs, Memo()) for lock in (old, new))
    changes = {step.name: step.change for step in review.change.steps}
    assert changes.keys() == {*before, *after}
    for name, change in changes.items():
        both = name in before and name in after
        assert (change in ("same", "changed")) == both
        assert (change == "same") == (both and before[name] == after[name]), name
    for step in review.change.steps:
        if step.change == "changed":
            assert step.causes or step.upstream
        if step.change == "same":
            assert not step.causes and not step.upstream


def needs(step: Step) -> Needs:
    return asked_of(step) or Needs()


def write(lock: Lock, file: Path) -> str:
    file.write_text(lock.text, "utf-8")
    return str(file)


@settings(
    max_examples=int(_EXAMPLES or 12),
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graph=graphs(), other=graphs(), data=st.data())
def test_effects_where_the_old_plan_was_run_and_nothing_else(
    graph: list[tuple[int, ...]],
    other: list[tuple[int, ...]],
    data: st.DataObject,
    workers: Workers,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("probes")
    probes = Probes(place, workers)
    locks = []
    for each in (graph, data.draw(st.sampled_from([graph, other]))):
        told = st.lists(st.tuples(texts, st.booleans()), min_size=len(each), max_size=len(each))
        locks.append(probes.lock(*steps_of(each, data.draw(told), None)))
    old, new = locks
    names = write(old, place / "old.json"), write(new, place / "new.json")
    probes.execute(old)
    review = diff(*names, project=place, assume_made=True)
    assert review.basis == "old"
    again = diff(*names, project=place)
    record = probes.execute(new)
    statuses = {result.step: result.status for result in record.results}
    check(said(review), statuses)
    check_keys(review, old, new)
    if again.basis == "store":
        check(said(again), statuses)
    same = [step.name for step in review.change.steps if step.change == "same"]
    assert all(statuses[name] == "hit" for name in same)


CHANGES = (
    "seed=1",
    "model.params.num_leaves=7",
    "model.params.learning_rate=0.2",
    "model=logistic_regression model.params={}",
    "data.split.test_size=0.5",
    "data.split.kind=hash data.split.columns=[age]",
    "data.columns.city.type=categorical",
    "data.columns.amount.role=ignore",
    "prepare=scaled",
    "evaluate.metrics=[roc_auc]",
    "evaluate.bootstrap.resamples=20",
    "evaluate.cross_validation.kind=stratified evaluate.cross_validation.folds=2",
    "deploy.max_records=7",
    "deploy.name=other",
    "data.split.validation_size=0.2",
    "data.split.validation_size=0.2 model.calibration.method=platt",
)
chosen = st.lists(st.sampled_from(CHANGES), max_size=3, unique=True)


def edited(place: Path, how: str) -> None:
    """The data, changed."""
    file = place / "rows.csv"
    lines = file.read_text("utf-8").splitlines()
    match how:
        case "another row":
            lines.append(lines[7])
        case "a row less":
            del lines[9]
        case "another value":
            lines[5] = lines[5].replace(lines[5].split(",")[0], "33.25", 1)
    file.write_text("\n".join(lines) + "\n", "utf-8")


@settings(
    max_examples=int(_EXAMPLES or 4),
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=chosen,
    after=chosen,
    data=st.sampled_from(["", "", "another row", "a row less", "another value"]),
)
def test_effects_of_changes_of_config_and_data(
    before: list[str],
    after: list[str],
    data: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = make(tmp_path_factory.mktemp("shop"))
    small = ["model.params.num_iterations=3"]
    words = [[*small, *" ".join(each).split()] for each in (before, after)]
    try:
        old = mc.compile(words[0], project=place)
        mc.compile(words[1], project=place)
    except mc.CompileError:
        assume(False)
    name = write(old, place / "old.json")
    mc.run(old, project=place, workers=Warm.of(2))
    edited(place, data)
    try:
        new = mc.compile(words[1], project=place)
    except mc.CompileError:
        assume(False)
    conf = f"conf:{' '.join(map(shlex.quote, words[1]))}"
    assumed = diff(name, conf, project=place, assume_made=True)
    here = diff(name, conf, project=place)
    assert (assumed.basis, here.basis) == ("old", "store")
    assert assumed.new.digest == here.new.digest == new.digest
    record = mc.run(new, project=place, workers=Warm.of(2))
    statuses = {result.step: result.status for result in record.results}
    check(said(assumed), statuses)
    check(said(here), statuses)
    assert assumed.change.differs == any(status != "hit" for status in statuses.values())
    check_keys(assumed, old, new)
    check_keys(here, old, new)
