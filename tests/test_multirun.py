"""Multiruns on the command line: the dry run, one run of all points, failures, launchers."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import hydra
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from packaging.version import Version

from mlops_compile.api.running import read_run
from mlops_compile.cli.leaderboard import leaderboard
from mlops_compile.present.board import Entry, lines
from tests.project import SMALL, apart, good, make, mlops

# Hydra 1.4 goes its own way to learn the mode.
OLD_HYDRA = Version(hydra.__version__) < Version("1.4.0rc1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("multirun"))


@pytest.fixture(scope="module")
def ran(project: Path) -> dict[str, Any]:
    words = ("seed=1,2", "model.params.num_leaves=3,7", *SMALL)
    return good(project, "run", "-m", "--json", *words).document


def test_a_multirun_is_one_plan(project: Path, ran: dict[str, Any]) -> None:
    points = ran["points"]
    assert ran["status"] == "ok" and ran["point_count"] == 4
    assert [point["overrides"][:2] for point in points] == [
        [f"seed={seed}", f"model.params.num_leaves={n}"] for seed in (1, 2) for n in (3, 7)
    ]
    assert [point["point"] for point in points] == [0, 1, 2, 3]
    made = {
        name: [step["key"] for point in points for step in point["steps"] if step["name"] == name]
        for name in ("acquire", "split", "train")
    }
    assert [len(set(made[name])) for name in ("acquire", "split", "train")] == [1, 2, 4]
    for point in points:
        assert point["objective"] == point["metrics"]["test"]["roc_auc"]
        assert point["status"] == "ok" and point["model"] and point["error"] is None


def test_each_point_has_the_directory_of_a_run(project: Path, ran: dict[str, Any]) -> None:
    for number, point in enumerate(ran["points"]):
        directory = Path(point["directory"])
        assert directory == Path(ran["directory"]) / str(number)
        names = {path.name for path in directory.iterdir()}
        assert names >= {".hydra", "plan.lock.json", "record.json", "metrics.json", "bundle"}
        kept = (directory / ".hydra" / "overrides.yaml").read_text("utf-8")
        assert kept.splitlines() == [f"- {text}" for text in point["overrides"]]
        assert f"num: {number}" in (directory / ".hydra" / "hydra.yaml").read_text("utf-8")
        config = (directory / ".hydra" / "config.yaml").read_text("utf-8")
        leaves = point["overrides"][1].partition("=")[2]
        assert f"num_leaves: {leaves}" in config and "hydra:" not in config
        record = read_run(directory)
        assert record.ok and record.model == point["model"]
        assert record.lock.digest == point["plan"]


def test_a_point_alone_is_all_hits(project: Path, ran: dict[str, Any]) -> None:
    point = ran["points"][2]
    alone = good(project, "run", "--json", *point["overrides"]).document
    assert {step["status"] for step in alone["steps"]} == {"hit"}
    assert alone["model"] == point["model"] and alone["plan"] == point["plan"]


def test_the_documents_of_a_sweep(project: Path, ran: dict[str, Any]) -> None:
    directory = Path(ran["directory"])
    assert json.loads((directory / "sweep.json").read_text("utf-8")) == ran
    with (directory / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = [float(row["objective"]) for row in rows]
    assert values == sorted(values, reverse=True) and len(values) == 4
    best = ran["points"][int(rows[0]["point"])]
    assert float(rows[0]["objective"]) == best["objective"] and rows[0]["model"] == best["model"]
    assert rows[0]["model.params.num_leaves"] == best["overrides"][1].partition("=")[2]
    # Points that differ in their seed are one line.
    assert [line["points"] for line in ran["leaderboard"]] in ([[0, 2], [1, 3]], [[1, 3], [0, 2]])
    for line in ran["leaderboard"]:
        held = [ran["points"][n]["objective"] for n in line["points"]]
        assert line["value"] == pytest.approx(mean(held))
        assert line["deviation"] == pytest.approx(stdev(held))
    said = mlops(project, "run", "-m", "seed=1,2", "model.params.num_leaves=3,7", *SMALL)
    assert said.code == 0 and "of 2 seeds" in said.out and "4 of 4 points done" in said.out


def test_the_dry_run_says_what_the_run_does(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("-m", "model.params.num_leaves=3,7,3", "seed=1,2", *SMALL)
    before = good(project, "compile", "--json", *words).document
    assert before["point_count"] == 4 and before["step_count"] == len(before["steps"]) == 20
    assert {step["effect"] for step in before["steps"]} == {"run", "maybe"}
    assert [point["overrides"][0] for point in before["points"]] == [
        *["model.params.num_leaves=3"] * 2,
        *["model.params.num_leaves=7"] * 2,
    ]
    assert before["seconds_expected"] == [None, None]
    assert not (project / "multirun").exists()
    ran = good(project, "run", "--json", *words).document
    assert ran["plan"] == before["plan"]
    after = good(project, "compile", "--json", *words).document
    assert {step["effect"] for step in after["steps"]} == {"hit"}
    more = good(project, "compile", *words[:1], "model.params.num_leaves=3,9", *words[2:])
    assert "4 points" in more.out and "train     2 run, 2 hit" in more.out, more.out
    assert "of work, as earlier runs took" in more.out


def test_the_lock_of_a_sweep_is_committed_like_any_other(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("-m", "seed=1,2", *SMALL)
    assert mlops(project, "compile", "--locked", *words).code == 4
    assert "written" in good(project, "compile", *words).out
    assert "unchanged" in good(project, "compile", *words).out
    good(project, "compile", "--locked", *words)
    stale = mlops(project, "run", "--locked", "-m", "seed=1,3", *SMALL)
    assert stale.code == 4 and "points.1.overrides" in stale.err
    assert good(project, "run", "--locked", "--json", *words).document["status"] == "ok"
    one = mlops(project, "run", "--plan", "plan.lock.json")
    assert one.code == 3 and "the lock of a sweep" in one.err
    good(project, "store", "gc")  # keeps what the sweep needs
    again = good(project, "run", "--json", *words).document
    assert {s["status"] for point in again["points"] for s in point["steps"]} == {"hit"}


def test_the_rest_goes_on_where_points_fail(tmp_path: Path) -> None:
    project = make(tmp_path)
    code = tmp_path / "src" / "mine"
    code.mkdir(parents=True)
    (code / "__init__.py").touch()
    (code / "rows.py").write_text(
        "import os\n\n\ndef double(age):\n"
        "    if not os.path.exists(os.environ['GOOD_PLACE']):\n"
        "        raise ValueError('the place is not there')\n"
        "    return None if age is None else age * 2\n",
        "utf-8",
    )
    place = tmp_path / "good"
    words = (
        *("run", "-m", "--json", "experiment=plain,derived"),
        *("model.params.num_leaves=3,1,5", *SMALL),
    )
    experiments = tmp_path / "conf" / "experiment"
    experiments.mkdir()
    (experiments / "plain.yaml").write_text("# @package _global_\nseed: 1\n", "utf-8")
    (experiments / "derived.yaml").write_text(
        "# @package _global_\ncode: {roots: [src]}\nprepare:\n  derive:\n"
        "    d: {function: mine.rows.double, inputs: [age], type: numeric}\n",
        "utf-8",
    )
    env = {"GOOD_PLACE": str(place)}
    failed = apart(project, *words, env=env)
    assert failed.code == 5, failed.err
    points = failed.document["points"]
    assert [point["status"] for point in points] == ["ok", "failed", "ok", *["failed"] * 3]
    assert "must be >= 2" in points[1]["error"] and "must be >= 2" in points[4]["error"]
    for point in (points[3], points[5]):
        assert "the place is not there" in point["error"]
        (log,) = {step["log"] for step in point["steps"] if step["status"] == "failed"}
        assert "the place is not there" in Path(log).read_text("utf-8")
    assert failed.err.count("must be >= 2") == 1
    place.touch()
    mended = apart(project, *words, env=env)
    again = mended.document["points"]
    assert mended.code == 3 and [point["status"] for point in again].count("ok") == 4
    for number in (0, 2):  # was made, and is not made again
        assert {step["status"] for step in again[number]["steps"]} == {"hit"}
    assert {step["status"] for step in again[3]["steps"]} == {"hit", "ran"}


def test_fail_fast_begins_nothing_more(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("run", "-m", "--json", "--fail-fast", "-j", "1", *SMALL)
    answer = mlops(project, *words, "model.params.num_leaves=1,3")
    assert answer.code == 3
    assert [point["status"] for point in answer.document["points"]] == ["failed", "skipped"]
    assert not (project / ".mlops" / "store" / "actions").exists()
    stopped = mlops(project, *words, "evaluate.gates={log_loss: '<= 1e-9'}", "seed=range(1,9)")
    assert stopped.code == 6, stopped.err
    found = [point["status"] for point in stopped.document["points"]]
    assert found.count("failed") >= 1 and found.count("ok") + found.count("skipped") >= 6


@pytest.mark.slow
def test_another_launcher_works_on_the_same_store(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("-m", "seed=1,2", *SMALL)
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    answer = apart(project, "run", "--json", *words, *launcher)
    assert answer.code == 0, answer.err
    points = answer.document["points"]
    assert [point["overrides"][0] for point in points] == ["seed=1", "seed=2"]
    directories = [Path(point["directory"]) for point in points]
    assert [path.name for path in directories] == ["0", "1"]
    assert all((path / "record.json").is_file() for path in directories)
    ours = good(project, "run", "--json", *words).document
    assert {s["status"] for point in ours["points"] for s in point["steps"]} == {"hit"}
    assert [point["model"] for point in ours["points"]] == [point["model"] for point in points]
    wrong = apart(project, "run", "-m", "--json", "model.params.num_leaves=1,3", *SMALL, *launcher)
    assert wrong.code == 3
    assert [point["status"] for point in wrong.document["points"]] == ["failed", "ok"]
    # Looking at a sweep needs no launcher.
    dry = good(project, "compile", "--json", *words, *launcher)
    assert dry.document["point_count"] == 2


def test_a_sweep_that_stands_in_a_file(tmp_path: Path) -> None:
    project = make(tmp_path)
    file = project / "conf" / "config.yaml"
    sweep = "hydra:\n  sweeper:\n    params:\n      seed: range(1,4)\n      model: ridge,lightgbm\n"
    file.write_text(file.read_text("utf-8") + sweep, "utf-8")
    task = ("data.task=regression", "data.target=amount")
    found = good(project, "compile", "-m", "--json", *task)
    assert found.document["point_count"] == 6
    one = good(project, "compile", "--json", *task, "model=ridge")
    assert one.document["point_count"] == 1
    sides = ("seed=tag(zip,range(1,4))", "model.params.num_leaves=tag(zip,choice(3,4,5))")
    zipped = good(project, "compile", "-m", "--json", "model=lightgbm", *sides)
    assert [point["overrides"] for point in zipped.document["points"]] == [
        [f"seed={n}", "model=lightgbm", f"model.params.num_leaves={n + 2}"] for n in (1, 2, 3)
    ]


def test_names_of_directories_are_the_configs(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("-m", "seed=1,2", *SMALL, "hydra.sweep.dir=swept", "hydra.sweep.subdir=s${seed}")
    good(project, "run", *words)
    assert {path.name for path in (project / "swept").iterdir() if path.is_dir()} >= {"s1", "s2"}
    assert os.path.exists(project / "swept" / "s2" / "record.json")


def entry(point: int, *overrides: str, value: float | None, metric: str = "log_loss") -> Entry:
    status = "failed" if value is None else "ok"
    return Entry(point=point, overrides=overrides, status=status, metric=metric, objective=value)


def test_a_leaderboard_knows_which_way_is_better() -> None:
    entries = [
        entry(0, "a=1", "seed=1", value=0.5),
        entry(1, "a=2", "seed=1", value=0.2),
        entry(2, "a=3", "seed=1", value=None),
        entry(3, "a=1", "seed=2", value=0.3),
    ]
    first, second = lines(entries)
    assert first.points == (1,) and first.deviation is None and first.value == 0.2
    assert second.points == (0, 3) and second.overrides == ("a=1",)
    assert second.value == pytest.approx(0.4)
    assert "2 seeds" in leaderboard(entries).splitlines()[1]
    up = lines([entry(0, "a=1", value=0.5, metric="r2"), entry(1, "a=2", value=0.7, metric="r2")])
    assert [line.points for line in up] == [(1,), (0,)]


def test_the_mean_of_folds_stands_beside_the_test_part(tmp_path: Path) -> None:
    project = make(tmp_path)
    words = ("seed=1,2", "evaluate.cross_validation={kind: random, folds: 2}", *SMALL)
    found = good(project, "run", "-m", "--json", *words).document
    means = [point["metrics"]["folds"]["mean"]["roc_auc"] for point in found["points"]]
    assert [point["folds"] for point in found["points"]] == means
    assert means != [point["objective"] for point in found["points"]]
    assert [line["folds"] for line in found["leaderboard"]] == [pytest.approx(mean(means))]
    with (Path(found["directory"]) / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        rows = {int(row["point"]): float(row["folds"]) for row in csv.DictReader(file)}
    assert [rows[number] for number in (0, 1)] == means
    assert f"folds {mean(means):.4f}" in good(project, "run", "-m", *words).out


@pytest.mark.slow
def test_of_thirty_points_four_fail_and_only_those_are_tried_again(tmp_path: Path) -> None:
    project = make(tmp_path)
    code, experiments = tmp_path / "src" / "mine", tmp_path / "conf" / "experiment"
    code.mkdir(parents=True)
    experiments.mkdir()
    (code / "__init__.py").touch()
    (code / "rows.py").write_text(
        "import os\n\n\ndef _double(age, place):\n"
        "    if not os.path.exists(os.environ['GOOD_PLACES'] + place):\n"
        "        raise ValueError(f'there is no place {place}')\n"
        "    return None if age is None else age * 2\n\n\n"
        "def near(age):\n    return _double(age, 'near')\n\n\n"
        "def far(age):\n    return _double(age, 'far')\n",
        "utf-8",
    )
    for leaves in range(3, 18):
        place = {7: "near", 12: "far"}.get(leaves)
        text = f"# @package _global_\nmodel: {{params: {{num_leaves: {leaves}}}}}\n"
        if place:
            text += (
                "code: {roots: [src]}\nprepare:\n  derive:\n"
                f"    d: {{function: mine.rows.{place}, inputs: [age], type: numeric}}\n"
            )
        (experiments / f"leaves{leaves:02}.yaml").write_text(text, "utf-8")
    places = tmp_path / "place-"
    words = ("run", "-m", "--json", "experiment=glob(leaves*)", "seed=1,2", *SMALL)
    env = {"GOOD_PLACES": str(places)}
    first = apart(project, *words, env=env)
    assert first.code == 5, first.err
    points = first.document["points"]
    bad = {8: "near", 9: "near", 18: "far", 19: "far"}
    assert len(points) == 30
    assert {p["point"] for p in points if p["status"] == "failed"} == {*bad}
    good_ones = [point for point in points if point["status"] == "ok"]
    assert len(good_ones) == 26 and all(point["model"] for point in good_ones)
    assert len({point["model"] for point in good_ones}) == 26
    for number, place in bad.items():
        point = points[number]
        assert f"there is no place {place}" in point["error"] and point["model"] is None
        (log,) = {step["log"] for step in point["steps"] if step["status"] == "failed"}
        assert f"there is no place {place}" in Path(log).read_text("utf-8")
    for place in ("near", "far"):
        Path(f"{places}{place}").touch()
    again = apart(project, *words, env=env)
    assert again.code == 0, again.err
    for point in again.document["points"]:
        states = {step["status"] for step in point["steps"]}
        assert states == ({"hit", "ran"} if point["point"] in bad else {"hit"})


@pytest.mark.slow
def test_points_with_a_search_run_by_themselves_in_the_same_multirun(tmp_path: Path) -> None:
    project = make(tmp_path, search=True)
    words = ("search.trials=3", "search.space.model.params.num_leaves={low: 3, high: 9}", *SMALL)
    found = good(project, "run", "-m", "--json", "search=none,random", "seed=1,2", *words).document
    points = found["points"]
    assert [point["status"] for point in points] == ["ok"] * 4
    assert [len(point.get("trials", ())) for point in points] == [0, 0, 3, 3]
    for point in points:
        record = read_run(Path(point["directory"]))
        assert record.ok and record.model == point["model"]
        alone = good(project, "run", "--json", *point["overrides"]).document
        assert alone["plan"] == point["plan"] and alone["model"] == point["model"]
        assert {step["status"] for step in alone["steps"]} == {"hit"}
    splits = [{s["name"]: s["key"] for s in point["steps"]}["split"] for point in points]
    assert splits[0] == splits[2] and splits[1] == splits[3] and splits[0] != splits[1]


def test_a_config_is_composed_once_and_its_mode_counts_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[Any] = []
    impl = ConfigLoaderImpl._load_configuration_impl

    def counted(*given: Any, **named: Any) -> Any:
        composed.append(named["overrides"])
        return impl(*given, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", counted)
    project = make(tmp_path)
    assert "step_count" not in good(project, "config", "seed=4").out
    assert len(composed) == 1 or not OLD_HYDRA
    composed.clear()
    many = good(project, "compile", "-m", "--json", "seed=1,2").document
    assert many["point_count"] == 2
    # The multirun's own config, and the first point's.
    assert len(composed) == 2 or not OLD_HYDRA
    named = good(project, "compile", "--json", "seed=1,2", "hydra.mode=MULTIRUN").document
    file = project / "conf" / "config.yaml"
    file.write_text(file.read_text("utf-8") + "hydra: {mode: MULTIRUN}\n", "utf-8")
    stated = good(project, "compile", "--json", "seed=1,2").document
    for found in (named, stated):
        assert found["point_count"] == 2 and found["plan"] == many["plan"]
    file.write_text(
        file.read_text("utf-8").replace("mode: MULTIRUN", "mode: '${oc.env:HOW}'"), "utf-8"
    )
    monkeypatch.setenv("HOW", "MULTIRUN")
    assert good(project, "compile", "--json", "seed=1,2").document["point_count"] == 2
    monkeypatch.setenv("HOW", "RUN")
    assert good(project, "compile", "--json", "seed=1").document["point_count"] == 1
    refused = mlops(project, "compile", "seed=1,2")
    assert refused.code == 3 and "-m" in refused.err
