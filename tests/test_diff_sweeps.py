"""Diffs of sweeps: which points are the same, which came and went, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project import SMALL, good, make, mlops

SWEEP = ("seed=0,1", "model.params.num_leaves=3,5", *SMALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = make(tmp_path_factory.mktemp("sweeps") / "shop", search=True)
    good(place, "compile", "-m", *SWEEP)
    good(place, "compile", *SMALL, "-o", "one.json")
    return place


def document(project: Path, *words: str) -> dict[str, Any]:
    return good(project, "diff", *words, "--format", "json").document


def fates(found: dict[str, Any]) -> list[str]:
    return [point["change"] for point in found["points"]]


def conf(*words: str) -> str:
    return " ".join(("conf: -m", *words))


def test_points_that_come_or_go_are_a_difference(project: Path) -> None:
    operands = ("plan.lock.json", conf("seed=0", *SWEEP[1:]))
    found = document(project, *operands)
    assert fates(found) == ["same", "same", "removed", "removed"]
    assert {step["change"] for step in found["steps"]} == {"same"}
    assert found["differs"] is True
    assert mlops(project, "diff", *operands, "--exit-code").code == 4
    last = good(project, "diff", *operands).out.splitlines()[-1]
    assert last == "0 to run, 0 may run, 11 made already; points: 2 removed."
    again = document(project, "plan.lock.json", conf(*reversed(SWEEP)))  # in another order
    assert fates(again) == ["same"] * 4 and again["differs"] is False


def test_points_of_one_plan_are_the_same_whatever_asks_for_them(project: Path) -> None:
    found = document(project, "one.json", conf("model=lightgbm", "seed=0,1", *SMALL))
    assert fates(found) == ["same", "added"]
    assert found["points"][0]["overrides"][0] == "model=lightgbm"


def test_a_service_that_some_points_change(project: Path) -> None:
    found = document(project, "plan.lock.json", conf(*SWEEP, "deploy.max_records=7"))
    assert fates(found) == ["changed"] * 4
    (change,) = found["api"]["changes"]  # once, not once a point
    assert change["path"] == "deploy.max_records" and change["breaking"]


def test_a_sweep_of_a_version_with_other_kinds_is_read(project: Path) -> None:
    value = json.loads((project / "plan.lock.json").read_text("utf-8"))
    train = value["steps"]["train"]
    for change in ({"kind": "teleport"}, {"version": train["version"] + 1}):
        value["steps"]["train"] = {**train, **change}
        environments: tuple[dict[str, str], ...] = (value["environment"], {})
        for environment in environments:
            text = json.dumps({**value, "environment": environment}, sort_keys=True)
            (project / "other.json").write_text(text, "utf-8")
            for operands in (("plan.lock.json", "other.json"), ("other.json", "plan.lock.json")):
                found = document(project, *operands)
                assert fates(found) == ["changed"] * 4
                assert "hit" not in {s["effect"] for s in found["steps"] if s["kind"] == "teleport"}


@pytest.mark.slow
def test_what_is_behind_the_searches_of_a_sweep(project: Path) -> None:
    space = "search.space.model.params.num_leaves={low: 3, high: 9}"
    words = ("search=random", "search.trials=2", space, *SMALL)
    good(project, "run", *words, "seed=0")
    swept = conf(*(f"'{word}'" for word in words), "seed=0,1")
    found = document(project, "one.json", swept)["steps"]
    effects = {step["name"]: step["effect"] for step in found}
    first = {name: effect for name, effect in effects.items() if not name.startswith("point/1/")}
    assert {*first.values()} == {"hit"} and "point/0/train" in first
    assert effects["point/1/split"] == "run" and effects["point/1/train"] == "maybe"
