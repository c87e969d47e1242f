"""Spaces: every point lies in its space, fewer trials begin more, and what is wrong is told at once
where it stands; a trial's plan is that of the same config alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_compile as mc
from mlops_compile.api.searching import Searched, alike
from mlops_compile.compiler.recompile import again
from mlops_compile.compiler.verify import verify
from mlops_compile.ir.key import key_of, plan_preimages
from mlops_compile.ir.lock import Lock, decode, encode, plan_value
from mlops_compile.ir.value import Map, Value, canonical, freeze
from mlops_compile.steps.kinds import needs_of
from mlops_compile.steps.sampling import listed_points, random_points, sampler_of
from mlops_compile.steps.searching import Search
from mlops_compile.steps.spaces import Choices, Range, Space, grid_points, shown, variations
from mlops_compile.steps.stated_space import space_of
from tests.project import make, mlops

BASE = freeze({"model": {"family": "lightgbm"}})
assert isinstance(BASE, Map)
SMALL = ("model.params.num_iterations=3",)
LEAVES = "search.space.model.params.num_leaves={low: 4, high: 32}"
RATE = "search.space.model.params.learning_rate={low: 0.01, high: 0.3, log: true}"


def space(plain: Mapping[str, Any], family: str = "lightgbm") -> Space:
    """A space without faults."""
    value = freeze(plain)
    assert isinstance(value, Map)
    found, faults = space_of(value, family)
    assert not faults
    return found


MIXED = {
    "model": {
        "params": {
            "num_leaves": {"low": 4, "high": 64, "step": 4},
            "learning_rate": {"low": 1e-3, "high": 0.3, "log": True},
            "boosting": {"choices": ["gbdt", "dart"]},
            "drop_rate": {"low": 0.1, "high": 0.5, "when": {"model.params.boosting": "dart"}},
        }
    }
}


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    integer, log = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(1, 10**6) if integer else st.floats(1e-6, 1e6)
    low, high = sorted((draw(numbers), draw(numbers)))
    high = high if high > low else low + 1
    step = None
    if not log and draw(st.booleans()):
        wide = (high - low) / draw(st.integers(1, 50))
        step = max(1, math.floor(wide)) if integer else wide
    return Range(low=low, high=high, integer=integer, log=log, step=step)


@given(ranges(), st.floats(0, 1, exclude_max=True))
def test_a_number_of_a_range_lies_in_it(held: Range, share: float) -> None:
    found = held.at(share)
    assert held.low <= found <= held.high * (1 + 1e-9)
    assert isinstance(found, int if held.integer else float)
    if held.stepped and held.count <= 1000:
        assert found in held.all()
        assert len({held.at(n / held.count + 1e-9) for n in range(held.count)}) == held.count


def test_a_grid_has_each_point_once_and_a_condition_leaves_points_out() -> None:
    plain: Any = {
        "model": {
            "params": {
                "num_leaves": {"low": 4, "high": 12, "step": 4},
                "boosting": {"choices": ["gbdt", "dart"]},
                "max_drop": {"choices": [5, 50], "when": {"model.params.boosting": "dart"}},
            }
        }
    }
    points = [shown(point) for point in grid_points(space(plain), BASE)]
    assert len(points) == len({canonical(point) for point in points}) == 3 * (1 + 2)
    for point in points:
        assert ("model.params.max_drop" in point) == (point["model.params.boosting"] == "dart")


@pytest.mark.parametrize("kind", ["random", "sobol", "tpe"])
def test_fewer_trials_are_the_first_of_more(kind: str) -> None:
    def tried(trials: int, batch: int = 4) -> list[bytes]:
        search = Search(kind=kind, trials=trials, batch=batch, direction="maximize")
        sampler = sampler_of(search, space(MIXED), BASE, 3)
        found: list[Map] = []
        while points := sampler.ask():
            told = [shown(point) for point in points]
            # The seventh fails; the others are worth more the more leaves they have.
            sampler.tell(
                [
                    None if len(found) + n == 6 else float(str(point["model.params.num_leaves"]))
                    for n, point in enumerate(told)
                ]
            )
            found += told
        assert len(found) == trials
        return [canonical(point) for point in found]

    longest = tried(26)
    assert tried(26) == longest
    assert tried(7) == longest[:7] and tried(18) == longest[:18]
    assert len(set(longest)) > 20


def test_tpe_learns_from_what_it_is_told() -> None:
    search = Search(kind="tpe", trials=60, batch=5, direction="minimize")
    plain: Any = {"model": {"params": {"learning_rate": {"low": 0.0, "high": 1.0}}}}
    sampler = sampler_of(search, space(plain), BASE, 0)
    found: list[float] = []
    while points := sampler.ask():
        values = [float(str(point["model", "params", "learning_rate"])) for point in points]
        sampler.tell([(value - 0.7) ** 2 for value in values])
        found += values
    late = found[-20:]
    assert sum(abs(value - 0.7) < 0.15 for value in late) >= 15


def test_a_further_key_leaves_the_draws_of_others_as_they_were() -> None:
    one: Any = {"model": {"params": {"num_leaves": {"low": 4, "high": 64}}}}
    two: Any = {"model": {"params": {**one["model"]["params"], "max_depth": {"low": 2, "high": 9}}}}
    left = [
        p["model", "params", "num_leaves"] for p in islice(random_points(space(one), BASE, 5), 20)
    ]
    right = [
        p["model", "params", "num_leaves"] for p in islice(random_points(space(two), BASE, 5), 20)
    ]
    assert left == right and len(set(left)) > 5


def test_the_startup_of_tpe_is_that_of_random() -> None:
    made = {
        kind: list(listed_points(Search(kind=kind, trials=30), space(MIXED), BASE, 1))
        for kind in ("tpe", "random")
    }
    assert made["random"][: len(made["tpe"])] == made["tpe"] and len(made["tpe"]) == 10


def test_variations_show_every_end_and_choice_of_every_family() -> None:
    plain: Any = {
        "model": {
            "family": {
                "choices": {
                    "lightgbm": {"params": {"num_leaves": {"low": 4, "high": 9}, "max_bin": 63}},
                    "random_forest": {"params": {"max_depth": {"choices": [3, None]}}},
                }
            },
            "class_weight": {"choices": [None, "balanced"]},
        }
    }
    found = space(plain)
    assert found.families == ("lightgbm", "random_forest")
    told = {(shows.domain.where, shows.place) for shows in variations(found, BASE)}
    ends = {(d.where, end) for d in found.domains for end, _ in _ends(d.held)}
    assert told == ends


def _ends(held: Range | Choices) -> list[tuple[tuple[str, ...], Value]]:
    if isinstance(held, Choices):
        return [(("choices", str(n)), value) for n, value in enumerate(held.values)]
    return [(("low",), held.low), (("high",), held.high)]


# Compiled


def searched(project: Path, *overrides: str) -> Lock:
    return mc.compile([*SMALL, *overrides], project=project)


def test_a_lock_with_a_search_is_read_back_and_is_what_its_params_compile_to(
    tmp_path: Path,
) -> None:
    make(tmp_path, search=True)
    for overrides in (
        ["search=tpe", LEAVES, RATE],
        ["search=grid", "search.space.model.family.choices=[lightgbm,logistic_regression]"],
        ["search=random", LEAVES, "search.cv=null", "data.split.validation_size=0.2",
         "search.refit=train_and_validation"],
        ["search=sobol", "search.space.prepare.numeric.choices=[[scale],[{clip: {low: 0}}]]"],
    ):  # fmt: skip
        lock = searched(tmp_path, *overrides)
        assert decode(encode(lock)) == lock
        verify(lock)
        assert again(lock) == lock
        needs_of(lock)


def test_the_winner_s_plan_is_that_of_the_same_config_alone(tmp_path: Path) -> None:
    """But for the package, which is told what it won: so that the winner's steps, alone or behind
    a search, are one."""
    make(tmp_path, search=True)
    lock = searched(tmp_path, "search=tpe", LEAVES, RATE, "model.params.num_leaves=9")
    made = Searched.of(lock)
    params = {"model.params.num_leaves": 17, "model.params.learning_rate": 0.05}
    best = freeze({"number": 1, "params": params})
    assert isinstance(best, Map)
    winner = made.winner(best)
    alone = mc.compile([*SMALL, *(f"{name}={value}" for name, value in params.items())],
                       project=tmp_path)  # fmt: skip
    ours, theirs = plan_value(winner.plan), plan_value(alone.plan)
    assert set(ours) == set(theirs)
    for name in set(ours) - {"package"}:
        assert canonical(ours[name]) == canonical(theirs[name])
    assert winner.contract == alone.contract and winner.sources == alone.sources


def test_another_family_has_its_own_preparations_and_no_params_of_the_config(
    tmp_path: Path,
) -> None:
    make(tmp_path, search=True)
    choices = (
        "{lightgbm: null,"
        " logistic_regression: {params: {C: {low: 0.1, high: 10, log: true}, max_iter: 1000}}}"
    )
    lock = searched(tmp_path, "search=random", f"search.space.model.family.choices={choices}")
    params = freeze({"model.family": "logistic_regression", "model.params.C": 0.5})
    assert isinstance(params, Map)
    winner = Searched.of(lock).winner(Map({"params": params}))
    alone = mc.compile(["model=logistic_regression", "model.params.C=0.5"], project=tmp_path)
    assert canonical(plan_value(winner.plan)["train"]) == canonical(plan_value(alone.plan)["train"])
    keys = [
        {name: key_of(made) for name, made in plan_preimages(each, needs_of(each)).items()}
        for each in (winner, alone)
    ]
    assert keys[0]["train"] == keys[1]["train"]


def test_what_trials_have_alike_is_made_once_and_shared_with_cross_validation(
    tmp_path: Path,
) -> None:
    make(tmp_path, search=True)
    lock = searched(tmp_path, "search=random", LEAVES, "search.trials=5",
                    "evaluate.cross_validation={kind: random, folds: 3}")  # fmt: skip
    made = Searched.of(lock)
    points = listed_points(made.spec.search, made.space, made.config, made.step.seed or 0)
    trials = {n: made.trial(point, n)[0] for n, point in enumerate(points, start=1)}
    distinct, _ = alike(trials, made.memo)
    kinds = [step.kind for step in distinct]
    assert kinds.count("prepare") == 3
    assert kinds.count("trial") == 3 * kinds.count("score") <= 15
    both = made.trials(distinct)
    keys = {name: key_of(p) for name, p in plan_preimages(both, needs_of(both)).items()}
    plain = mc.compile([*SMALL, "evaluate.cross_validation={kind: random, folds: 3}"],
                       project=tmp_path)  # fmt: skip
    theirs = {name: key_of(p) for name, p in plan_preimages(plain, needs_of(plain)).items()}
    assert keys["trial/1/fold/2/prepare"] == theirs["fold/2/prepare"]


def test_trials_that_share_their_work_are_those_that_each_alone_gives(tmp_path: Path) -> None:
    make(tmp_path, search=True)
    families = "{lightgbm: {params: {num_leaves: {low: 4, high: 32}}}, logistic_regression: null}"
    numeric = "{choices: [[impute, scale], [{impute: {strategy: mean}}, scale]]}"
    lock = searched(tmp_path, "search=random", "search.trials=12", "search.cv.folds=2",
                    f"search.space.model.family.choices={families}",
                    f"search.space.prepare.numeric={numeric}",
                    "search.space.model.class_weight={choices: [null, balanced]}")  # fmt: skip
    together = Searched.of(lock)
    points = tuple(listed_points(together.spec.search, together.space, together.config, 0))
    assert len({canonical(shown(point)) for point in points}) > 6
    for number, point in enumerate(points, start=1):
        alone = Searched.of(lock).trial(point, number)
        assert together.trial(point, number) == alone
        assert repr(together.trial(point, number)) == repr(alone)  # `==` says that 1 is 1.0


def test_what_a_trial_replaces_is_no_cause(tmp_path: Path) -> None:
    make(tmp_path, search=True)
    words = ("search=random", LEAVES, RATE)
    assert searched(tmp_path, *words) == searched(
        tmp_path, *words, "model.params.num_leaves=7", "model.params.learning_rate=0.2"
    )


FAULTS = {
    "model.params.num_leaves={low: 1, high: 8}": ("model.params.num_leaves.low", "must be >= 2"),
    "model.params.learning_rate={low: 0, high: 1, log: true}": (
        "model.params.learning_rate.low",
        "above 0 with log",
    ),
    "model.params.lerning_rate={low: 0.1, high: 1}": (
        "model.params.lerning_rate",
        "no such parameter",
    ),
    "model.params.max_depth={low: 9, high: 3}": ("model.params.max_depth.high", "above low"),
    "model.params.max_bin={low: 9.5, high: 30}": ("model.params.max_bin.low", "whole number"),
    "model.params.boosting={choices: [gbdt, dartt]}": (
        "model.params.boosting.choices.1",
        "must be one of",
    ),
    "model.params.extra_trees=true": ("model.params.extra_trees", "is a value"),
    "model.params.path_smooth={low: 1}": ("model.params.path_smooth", "must have high"),
    "model.params.cat_l2={low: 1, high: 2, hgih: 3}": ("model.params.cat_l2.hgih", "no such key"),
    "model.class_weight={choices: [balanced, other]}": (
        "model.class_weight.choices.1",
        "not one of",
    ),
    "data.target={choices: [a, b]}": ("data", "cannot vary this key"),
    "prepare.numeric={choices: [[scal]]}": ("prepare.numeric.choices.0.0", "no preparation"),
    "prepare.columns.ages={choices: [[drop], [clip]]}": (
        "prepare.columns.ages",
        "no column",
    ),
}


@pytest.mark.parametrize("setting", FAULTS)
def test_a_faulty_space_is_told_where_it_stands(tmp_path: Path, setting: str) -> None:
    make(tmp_path, search=True)
    key, words = FAULTS[setting]
    answer = mlops(tmp_path, "compile", "--json", "search=random", f"search.space.{setting}")
    assert answer.code == 3
    told = {item["key"]: item for item in answer.document["problems"]}
    assert f"search.space.{key}" in told, told
    found = told[f"search.space.{key}"]
    assert words in found["message"] and found["origin"]["source"]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    make(tmp_path, search=True)
    settings = [s for s in FAULTS if not s.startswith(("data", "prepare.columns"))]
    words = [f"search.space.{setting}" for setting in settings]
    words += ["search.trials=0", "search.metric=rmse", "search.direction=up"]
    answer = mlops(tmp_path, "compile", "--json", "search=tpe", *words)
    told = {item["key"] for item in answer.document["problems"]}
    wanted = {f"search.space.{FAULTS[setting][0]}" for setting in settings}
    assert told == wanted | {"search.trials", "search.metric", "search.direction"}


def test_a_search_that_cannot_be_is_refused(tmp_path: Path) -> None:
    make(tmp_path, search=True)
    for words, key in (
        (["search=grid", RATE], "search.space.model.params.learning_rate"),
        (["search=grid", LEAVES, "search.trials=5"], "search.trials"),
        (["search=tpe"], "search.space"),
        (["search=tpe", LEAVES, "search.cv=null"], "search.cv"),
        (["search=tpe", LEAVES, "search.refit=train_and_validation"], "search.refit"),
        (["search=tpe", LEAVES, "search.cv={kind: group, column: citi}"], "search.cv.column"),
    ):
        answer = mlops(tmp_path, "compile", "--json", *words)
        assert answer.code == 3 and [p["key"] for p in answer.document["problems"]] == [key], words
