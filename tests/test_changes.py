"""What a change runs again, and that what is said before a run is what the run does."""

from __future__ import annotations

import difflib
import os
import shutil
from pathlib import Path

import pytest

from tests.project import SMALL, apart, good, make

DATA = {"acquire", "validate", "split", "inspect", "prepare"}
ALL = DATA | {"train", "evaluate", "package"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was compiled and run once."""
    directory = make(tmp_path_factory.mktemp("changes") / "project")
    good(directory, "compile", *SMALL)
    assert _ran(directory, *SMALL) == ALL
    return directory


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of it: moving a state keeps it valid."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def _ran(project: Path, *words: str) -> set[str]:
    """The steps that a run runs, after what `compile` said of each came true."""
    said = good(project, "compile", "--json", "-o", "said.json", *words).document
    effects = {step["name"]: step["effect"] for step in said["steps"]}
    assert all(step["reason"] for step in said["steps"])
    document = good(project, "run", "--json", *words).document
    assert document["status"] == "ok"
    statuses = {step["name"]: step["status"] for step in document["steps"]}
    for name, effect in effects.items():
        assert effect == "maybe" or statuses[name] == {"run": "ran", "hit": "hit"}[effect]
    return {name for name, status in statuses.items() if status == "ran"}


def test_nothing_changed(project: Path) -> None:
    assert _ran(project, *SMALL) == set()


def test_a_parameter_runs_training_and_what_follows(project: Path) -> None:
    words = (*SMALL, "model.params.num_leaves=15")
    assert _ran(project, *words) == {"train", "evaluate", "package"}
    assert _ran(project, *SMALL) == set()
    assert _ran(project, *words) == set()


def test_a_parameter_is_one_line_of_the_lock(project: Path) -> None:
    old = (project / "plan.lock.json").read_text().splitlines()
    good(project, "compile", *SMALL, "model.params.num_leaves=15")
    new = (project / "plan.lock.json").read_text().splitlines()
    changed = [line for line in difflib.ndiff(old, new) if line[0] in "+-"]
    assert [line[0] for line in changed] == ["-", "+"]
    assert '"num_leaves": 15' in changed[1]


def test_a_comment_and_the_order_of_keys_run_nothing(project: Path) -> None:
    file = project / "conf" / "data" / "shop.yaml"
    lines = file.read_text().replace("  test_size: 0.25\n", "").splitlines()
    place = lines.index("split:")
    lines[place + 1 : place + 1] = ["  # a remark", "  test_size:   0.25"]
    file.write_text("\n".join(["# another remark", *lines]) + "\n")
    assert _ran(project, *SMALL) == set()
    good(project, "compile", "--locked", *SMALL)


def test_a_touched_or_rewritten_file_runs_nothing(project: Path) -> None:
    data = project / "rows.csv"
    os.utime(data, (1, 1))
    assert _ran(project, *SMALL) == set()
    data.write_bytes(data.read_bytes())
    assert _ran(project, *SMALL) == set()


def test_a_moved_file_runs_nothing(project: Path) -> None:
    (project / "rows.csv").rename(project / "moved.csv")
    assert _ran(project, *SMALL, "data.source.path=moved.csv") == set()


def test_another_row_runs_everything(project: Path) -> None:
    with (project / "rows.csv").open("a") as file:
        file.write("44.0,Oslo,true,2020-05-05 10:00:00,100.00,no\n")
    assert _ran(project, *SMALL) == ALL


def test_an_edit_of_the_same_size_and_time_is_seen(project: Path) -> None:
    data = project / "rows.csv"
    before = data.stat()
    data.write_text(data.read_text().replace("Oslo", "Bern"))
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "acquire" in _ran(project, *SMALL)


def test_a_preparation_with_equal_output_stops_there(project: Path) -> None:
    """Every city stands in more than two rows, so that fewer than two are no city's."""
    words = (*SMALL, "prepare.categorical=[{category: {min_count: 2}}]")
    assert _ran(project, *words) == {"prepare"}


def test_a_column_that_is_stated_as_it_was_found_stops_there(project: Path) -> None:
    words = (*SMALL, "data.columns={city: {type: categorical}}")
    assert _ran(project, *words) == {"validate"}


def test_deploy_trains_nothing(project: Path) -> None:
    assert _ran(project, *SMALL, "deploy.max_records=7") == {"package"}


def test_a_gate_measures_nothing_again(project: Path) -> None:
    assert _ran(project, *SMALL, "evaluate.gates={accuracy: '> 0.1'}") == {"package"}


def test_the_primary_metric_is_judged_again_and_nothing_else(project: Path) -> None:
    assert _ran(project, *SMALL, "evaluate.primary=f1") == {"package"}


def test_places_and_threads_run_nothing(project: Path) -> None:
    assert _ran(project, *SMALL, "execution.threads=1") == set()
    (project / ".mlops").rename(project / "elsewhere")
    assert _ran(project, *SMALL, "store.uri=elsewhere") == set()


def test_a_seed_keeps_the_table(project: Path) -> None:
    assert _ran(project, *SMALL, "seed=1") == ALL - {"acquire", "validate"}


def test_another_family_keeps_the_split(project: Path) -> None:
    ran = _ran(project, "model=logistic_regression")
    assert ran == {"prepare", "train", "evaluate", "package"}


def test_an_alias_is_the_same_plan(project: Path) -> None:
    words = ("~model.params.num_iterations", "+model.params.n_estimators=5")
    assert _ran(project, *words) == set()


def test_losing_the_cache_runs_nothing(project: Path) -> None:
    shutil.rmtree(project / ".mlops" / "cache")
    assert _ran(project, *SMALL) == set()


def test_a_damaged_result_is_made_again(project: Path) -> None:
    """A flipped bit in any blob: the next run ends with the same digests, and nothing wrong."""
    first = good(project, "run", "--json", *SMALL, how=apart).document
    store = project / ".mlops" / "store"
    blobs = sorted(path for path in (store / "blobs").rglob("*") if path.is_file())
    for blob in blobs:
        data = bytearray(blob.read_bytes())
        blob.chmod(0o644)
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
    again = good(project, "run", "--json", *SMALL, how=apart).document
    outputs = [{s["name"]: s["outputs"] for s in d["steps"]} for d in (first, again)]
    assert outputs[0] == outputs[1]
    assert any((store / "quarantine").iterdir())
    bundles = [Path(document["bundle"]["path"]) for document in (first, again)]
    files = [file for file in (project / bundles[0]).rglob("*") if file.is_file()]
    assert files
    for file in files:
        other = project / bundles[1] / file.relative_to(project / bundles[0])
        assert file.read_bytes() == other.read_bytes()


def test_the_source_may_go_once_it_is_in_the_store(project: Path) -> None:
    good(project, "compile", *SMALL)
    shutil.rmtree(project / ".mlops" / "store" / "actions")
    (project / "rows.csv").unlink()
    document = good(project, "run", "--json", "--plan", "plan.lock.json").document
    assert {step["status"] for step in document["steps"]} == {"ran"}
    # A reviewer without the data compiles with the committed lock's pin.
    shutil.rmtree(project / ".mlops")
    good(project, "compile", "--locked", *SMALL)
    assert good(project, "compile", "--json", *SMALL).document["plan"] == document["plan"]
