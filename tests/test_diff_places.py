"""Where causes are said to have been set: in the file, override or function that they come from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.project import SMALL, good, make


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = make(tmp_path_factory.mktemp("places") / "shop", search=True)
    good(place, "compile", *SMALL)
    return place


def causes(project: Path, *words: str) -> dict[tuple[str, Any], str | None]:
    """By path and new value: where it was set."""
    found = good(project, "diff", *words, "--format", "json").document
    every = [cause for step in found["steps"] for cause in step["causes"]]
    return {(cause["path"], str(cause["new"])): cause["origin"] for cause in every}


def test_each_point_of_a_sweep_has_places_of_its_own(project: Path) -> None:
    options = "random_forest,logistic_regression,lightgbm"
    found = causes(project, "plan.lock.json", f"conf: -m model={options} seed=0,1")
    for family in ("random_forest", "logistic_regression"):
        origin = found["model.family", family]
        assert origin and origin.startswith(f"mlops_compile:conf/model/{family}.yaml:2")
    of_one = found["model.params.C", "1.0"]
    assert of_one and of_one.startswith("mlops_compile:conf/model/logistic_regression.yaml:")
    assert found["seed", "1"] == "override seed=1"


def test_a_value_that_is_taken_from_another_key_was_set_there(
    project: Path, tmp_path: Path
) -> None:
    project = shutil.copytree(project, tmp_path / "shop")
    config = project / "conf" / "config.yaml"
    taken = "model:\n  params: {num_iterations: 5, num_leaves: '${model.params.num_iterations}'}\n"
    config.write_text(config.read_text("utf-8") + taken, "utf-8")
    alone = causes(project, "plan.lock.json", "conf:")
    (own,) = (where for (path, _), where in alone.items() if path == "model.params.num_leaves")
    assert own and own.startswith("conf/config.yaml:")  # what it is taken from is as it was
    good(project, "compile")
    found = causes(project, "plan.lock.json", "conf:model.params.num_iterations=7")
    assert found["model.params.num_leaves", "7"] == "override model.params.num_iterations=7"


def test_a_key_that_an_override_takes_away(project: Path) -> None:
    found = causes(project, "plan.lock.json", "conf:~model.params.learning_rate")
    assert found["model.params.learning_rate", "None"] == "override ~model.params.learning_rate"


def test_what_a_map_of_an_override_sets(project: Path) -> None:
    folds = "evaluate.cross_validation={kind: random, folds: 3}"
    found = causes(project, "plan.lock.json", f"conf:'{folds}'")
    assert found["evaluate.cross_validation.folds", "3"] == f"override {folds}"


def test_the_folds_of_a_search_are_its_own(project: Path) -> None:
    leaves = "search.space.model.params.num_leaves={low: 3, high: 9}"
    found = causes(project, "plan.lock.json", f"conf:search=random '{leaves}'")
    assert not any(path.startswith("evaluate.") for path, _ in found)
    folds = found["search.cv.folds", "3"]
    assert folds and folds.startswith("mlops_compile:conf/search/random.yaml:")
    # What is behind the search needs packages that are known once it has ended: no change of these.
    assert not any(path.startswith("environment.") for path, _ in found)
