"""Searches as runs: the same trials, winner and model however they are run, cut off or grown."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_compile.store.actions import Action
from mlops_compile.store.store import Store
from tests.project import Answer, good, make, mlops, package_environment

QUICK = ("model.params.num_iterations=3", "execution.threads=1", "evaluate.bootstrap=null")
HELD = ("search.cv=null", "data.split.validation_size=0.25")
LEAVES = "search.space.model.params.num_leaves={low: 4, high: 32}"
TWO = "search.space.model.params.num_leaves={choices: [3, 9]}"
RATE = "search.space.model.params.learning_rate={low: 0.05, high: 0.5, log: true}"
TPE = (*QUICK, "search=tpe", "search.trials=14", "search.batch=3", LEAVES, RATE)


COLUMNS = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,"
    "sex,capital-gain,capital-loss,hours-per-week,native-country,income"
)


def ran(project: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """The document of a run."""
    answer: Answer = mlops(project, "run", "--json", "--quiet", *words)
    assert answer.code == code, answer.err + answer.out
    return answer.document


def made(project: Path, kind: str) -> dict[str, Action]:
    """The actions of a kind in a project's store, by what they are made of."""
    store = Store(project / ".mlops" / "store")
    try:
        return {str(action.preimage): action for action in store.of_kind(kind)}
    finally:
        store.close()


def outcome(document: dict[str, Any]) -> Any:
    """What must be the same however a search is run."""
    return document["trials"], document["best"], document["model"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("search"), search=True)


def test_the_best_trial_makes_the_model_as_if_its_values_stood_in_the_config(
    project: Path,
) -> None:
    rate = "search.space.model.params.learning_rate={low: 0.1, high: 0.5, step: 0.2}"
    words = (*QUICK, *HELD, "search=grid", TWO, rate)
    found = ran(project, *words)
    assert len(found["trials"]) == 6 and found["status"] == "ok"
    objectives = [trial["objective"] for trial in found["trials"]]
    assert found["best"]["objective"] == max(objectives)
    assert found["best"]["number"] == 1 + objectives.index(max(objectives))
    assert {trial["status"] for trial in found["trials"]} == {"ok"}
    values = [f"{name}={value}" for name, value in found["best"]["params"].items()]
    alone = ran(project, *QUICK, *HELD[1:], *values)
    assert alone["model"] == found["model"]
    steps = {step["name"]: step["status"] for step in alone["steps"]}
    assert steps.pop("package") == "ran" and set(steps.values()) == {"hit"}
    assert alone["metrics"] == found["metrics"]


def test_an_objective_is_the_metric_of_the_rows_that_were_held_out(project: Path) -> None:
    words = (*QUICK, *HELD, "search=grid", TWO)
    found = ran(project, *words, "search.metric=log_loss")
    assert found["best"]["objective"] == min(trial["objective"] for trial in found["trials"])
    for trial in found["trials"]:
        values = [f"{name}={value}" for name, value in trial["params"].items()]
        alone = ran(project, *QUICK, *HELD[1:], *values)
        assert alone["metrics"]["validation"]["log_loss"] == trial["objective"]


def test_a_larger_search_takes_what_the_smaller_has_and_a_metric_trains_nothing(
    project: Path,
) -> None:
    small = ran(project, *TPE)
    fits, scores = made(project, "trial"), made(project, "score")
    again = ran(project, *TPE)
    assert {step["status"] for step in again["steps"]} == {"hit"}
    assert outcome(again) == outcome(small)
    larger = ran(project, *TPE, "search.trials=20")
    assert larger["trials"][:14] == small["trials"]
    assert len(made(project, "trial")) == len(fits) + 3 * 6
    assert len(made(project, "score")) == len(scores) + 6
    grid = (*QUICK, "search=random", "search.trials=6", LEAVES, RATE)
    ran(project, *grid)  # the first trials of tpe are those
    assert len(made(project, "trial")) == len(fits) + 3 * 6
    other = ran(project, *grid, "search.metric=brier")
    assert len(made(project, "trial")) == len(fits) + 3 * 6
    assert other["best"]["direction"] == "minimize"


def test_workers_change_nothing(project: Path, tmp_path: Path) -> None:
    make(tmp_path, search=True)
    assert outcome(ran(tmp_path, *TPE, "-j", "1")) == outcome(ran(project, *TPE, "-j", "2"))


def test_a_search_that_is_made_needs_neither_optuna_nor_a_worker(project: Path) -> None:
    ran(project, *TPE)
    program = (
        "import sys; from mlops_compile.cli.main import run\n"
        "for verb in ('compile', 'run'):\n"
        "    assert run([verb, *sys.argv[1:]]) == 0\n"
        "assert 'optuna' not in sys.modules and 'lightgbm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, *TPE], cwd=project, check=True,
                   env=package_environment(), capture_output=True, timeout=120)  # fmt: skip


def test_families_compete_each_with_parameters_of_its_own(project: Path) -> None:
    families = (
        "{lightgbm: {params: {num_leaves: {low: 3, high: 8}, num_iterations: 3}},"
        " random_forest: {params: {n_estimators: {choices: [2, 5]}}},"
        " logistic_regression: null}"
    )
    found = ran(project, "execution.threads=1", "evaluate.bootstrap=null", "search=random",
                "search.trials=9", f"search.space.model.family.choices={families}",
                "search.cv={kind: stratified, folds: 2}")  # fmt: skip
    tried = {trial["params"]["model.family"] for trial in found["trials"]}
    assert tried == {"lightgbm", "random_forest", "logistic_regression"}
    for trial in found["trials"]:
        own = {name.removeprefix("model.params.") for name in trial["params"]} - {"model.family"}
        assert own == {"lightgbm": {"num_leaves"}, "random_forest": {"n_estimators"},
                       "logistic_regression": set()}[trial["params"]["model.family"]]  # fmt: skip
    card = (Path(found["bundle"]["path"]) / "CARD.md") if found["bundle"] else None
    assert card is not None
    text = (project / card).read_text("utf-8")
    assert f"trial {found['best']['number']} of 9" in text
    assert found["best"]["params"]["model.family"] in text


def test_preparations_are_searched_too(project: Path) -> None:
    found = ran(project, *QUICK, *HELD, "search=grid",
                "search.space.prepare.numeric={choices: [[], [{impute: {}}, scale]]}",
                "search.space.prepare.columns.city={choices: [[{category: {}}], [drop]]}",
                "search.space.model.class_weight={choices: [null, balanced]}")  # fmt: skip
    assert len(found["trials"]) == 8
    assert len({trial["objective"] for trial in found["trials"]}) > 2


def test_the_winner_may_be_trained_on_the_validation_part_too(project: Path) -> None:
    words = (*QUICK, *HELD, "search=grid", TWO)
    usual, both = ran(project, *words), ran(project, *words, "search.refit=train_and_validation")
    assert both["trials"] == usual["trials"] and both["model"] != usual["model"]
    assert "validation" in usual["metrics"] and "validation" not in both["metrics"]
    store = Store(project / ".mlops" / "store")
    refit = next(iter(made(project, "refit").values()))
    rows = {port: np.load(store.blobs.read(digest)) for port, digest in refit.outputs}
    assert len(rows["validation"]) == 0 and len(rows["train"]) == 240 * 3 // 4
    store.close()


def test_a_lock_runs_as_it_is(project: Path) -> None:
    found = ran(project, *TPE)
    good(project, "compile", *TPE)
    again = ran(project, "--plan", "plan.lock.json")
    assert outcome(again) == outcome(found) and again["plan"] == found["plan"]
    assert {step["status"] for step in again["steps"]} == {"hit"}


def test_compile_tells_what_of_a_search_is_made(tmp_path: Path) -> None:
    make(tmp_path, search=True)
    words = (*QUICK, "search=random", "search.trials=5", LEAVES, RATE)
    before = good(tmp_path, "compile", *words).out
    assert "search " in before and "maybe" in before
    ran(tmp_path, *words, "search.trials=3")
    told = good(tmp_path, "compile", "--json", *words).document["steps"]
    steps = {step["name"]: step for step in told}
    assert "3 of 5 trials are made" in steps["search"]["reason"]
    assert steps["trial/2/score"]["effect"] == "hit"
    assert steps["trial/4/fold/1/answer"]["effect"] == "run"
    ran(tmp_path, *words)
    told = good(tmp_path, "compile", "--json", *words).document["steps"]
    assert {step["effect"] for step in told} == {"hit"}
    folds = "evaluate.cross_validation={kind: random, folds: 2}"
    ran(tmp_path, *words, folds)
    told = good(tmp_path, "compile", "--json", *words, folds).document["steps"]
    assert {step["effect"] for step in told} == {"hit"}
    made_ = good(tmp_path, "compile", *words, "search=tpe", "search.trials=30").out
    assert "5 of the first 10 trials are made" in made_


# Failures


def failing(counts: int) -> tuple[str, ...]:
    """A grid of 2 x `counts` trials, of which 4 ask for a metric that only the targets of the
    rows can refuse."""
    rates = ", ".join(str(0.1 + n / 100) for n in range(counts - 2))
    return (*QUICK, *HELD, "search=grid", TWO,
            "search.space.model.params.metric={choices: [l2, cross_entropy, kullback_leibler]}",
            f"search.space.model.params.learning_rate={{choices: [{rates}],"
            " when: {model.params.metric: l2}}")  # fmt: skip


def check_failures(project: Path, counts: int) -> None:
    words = failing(counts)
    answer = mlops(project, "run", "--json", "--quiet", *words)
    assert answer.code == 5
    found = answer.document
    failed = [trial for trial in found["trials"] if trial["status"] == "failed"]
    assert len(found["trials"]) == 2 * counts and len(failed) == 4
    for trial in failed:
        metric = trial["params"]["model.params.metric"]
        log = (project / trial["log"]).read_text("utf-8")
        assert metric != "l2" and metric in trial["error"] and metric in log
        assert f"trial {trial['number']} of {2 * counts}" in answer.err
    assert found["best"]["objective"] == max(
        trial["objective"] for trial in found["trials"] if trial["status"] == "ok"
    )
    assert found["model"] and found["metrics"]["test"]
    fits = made(project, "trial")
    assert len(fits) == 2 * counts - 4
    again = mlops(project, "run", *words)
    assert again.code == 5 and "4 trials failed" in again.out
    assert len(made(project, "trial")) == len(fits)
    directory = max(project.glob("outputs/*/*"), key=lambda path: path.stat().st_mtime)
    tried = {path.parts[-2] for path in (directory / "logs").rglob("answer.log")}
    assert tried == {str(trial["number"]) for trial in failed}
    with (directory / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows].count("failed") == 4


def test_failed_trials_are_told_each_and_alone_are_tried_again(tmp_path: Path) -> None:
    check_failures(make(tmp_path, task="regression", search=True), 6)


@pytest.mark.slow
def test_of_thirty_trials_four_fail(tmp_path: Path) -> None:
    check_failures(make(tmp_path, task="regression", search=True), 15)


def test_a_search_may_end_with_its_first_failure(tmp_path: Path) -> None:
    make(tmp_path, task="regression", search=True)
    found = ran(tmp_path, "--fail-fast", *failing(6), code=5)
    assert found["model"] is None and not found["best"]
    assert {s["status"] for s in found["steps"] if s["name"] == "train"} == {"skipped"}


# Kills


def start(project: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlops_compile", "run", *words],
        cwd=project,
        env=package_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed(project: Path, kills: int, *words: str) -> None:
    """Kill a run each time that it has scored some more trials."""
    for _ in range(kills):
        before, running = len(made(project, "score")), start(project, *words)
        draw = random.Random(before)
        end = time.monotonic() + 300
        while running.poll() is None and time.monotonic() < end:
            if len(made(project, "score")) >= before + 2:
                time.sleep(draw.uniform(0, 0.2))
                os.kill(running.pid, signal.SIGKILL)
                break
            time.sleep(0.05)
        running.wait()


@pytest.mark.slow
def test_a_search_that_is_killed_three_times_is_the_same_search(
    project: Path, tmp_path: Path
) -> None:
    make(tmp_path, search=True)
    killed(tmp_path, 3, *TPE)
    assert len(made(tmp_path, "score")) < 14
    assert outcome(ran(tmp_path, *TPE)) == outcome(ran(project, *TPE))


@pytest.mark.slow
@pytest.mark.skipif("MLOPS_DATA" not in os.environ, reason="MLOPS_DATA names no folder")
def test_on_adult_workers_kills_and_resumes_give_one_model(tmp_path: Path) -> None:
    data = Path(os.environ["MLOPS_DATA"]) / "adult-train.csv"
    words = (
        *("execution.threads=1", "evaluate.bootstrap=null"),
        *("search=tpe", "search.trials=40", "search.cv={folds: 3}"),
        *("model.params.num_iterations=30", LEAVES, RATE),
        "search.space.model.params.min_data_in_leaf={low: 5, high: 100, log: true}",
    )
    found = []
    for name, jobs, kills in (("one", "1", 0), ("two", "2", 0), ("killed", "2", 3)):
        project = tmp_path / name
        good(tmp_path, "init", name, "--data", str(data), "--target", "income",
             "--columns", COLUMNS)  # fmt: skip
        killed(project, kills, *words)
        found.append(ran(project, "-j", jobs, *words))
    assert outcome(found[0]) == outcome(found[1]) == outcome(found[2])
    grown = ran(project, *words, "search.trials=60")
    assert grown["trials"][:40] == found[0]["trials"] and len(grown["trials"]) == 60
    assert len(made(project, "score")) == len({json.dumps(t["params"]) for t in grown["trials"]})
