"""The command line end to end: a new project to a running service, documents, Hydra's flags."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.project import SMALL, apart, good, make, mlops, package_environment, rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = make(tmp_path_factory.mktemp("verbs") / "project")
    good(directory, "run", *SMALL)
    return directory


@contextlib.contextmanager
def serving(directory: Path, model: str) -> Iterator[httpx.Client]:
    """A client of the service that `serve` starts; SIGTERM must end it well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlops_compile", "serve", model, "--port", str(port)]
    cache = {"XDG_CACHE_HOME": str(directory / "cache")}  # for what the service compiles
    process = subprocess.Popen(command, cwd=directory, env={**package_environment(), **cache})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for _ in range(2400):
            with contextlib.suppress(httpx.TransportError):
                if client.get("/health/ready").status_code == 200:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        yield client
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def _last_run(directory: Path) -> Path:
    return max((directory / "outputs").glob("*/*"))


@pytest.mark.parametrize("header", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_from_a_file_to_a_service(tmp_path: Path, header: bool) -> None:
    names, _, body = rows("multiclass").partition("\n")
    (tmp_path / "rows.csv").write_text(rows("multiclass") if header else body)
    words = () if header else ("--columns", names)
    said = good(
        tmp_path, "init", "new", "--data", "rows.csv", "--target", "target", *words, how=apart
    )
    assert "baseline to beat: accuracy" in said.out and "cd new && mlops-compile run" in said.out
    project = tmp_path / "new"
    first = good(project, "run", "--json", *SMALL, how=apart).document
    assert {step["status"] for step in first["steps"]} == {"ran"}
    assert first["metrics"]["test"]["accuracy"] > first["metrics"]["baseline"]["accuracy"]
    second = good(project, "run", "--json", *SMALL, how=apart).document
    assert {step["status"] for step in second["steps"]} == {"hit"}
    assert second["model"] == first["model"] and second["directory"] != first["directory"]
    example = json.loads((_last_run(project) / "bundle" / "example.json").read_text())
    with serving(project, str(_last_run(project).relative_to(project))) as client:
        answer = client.post("/predict", json=example).json()
    assert answer["model"] == first["model"] and answer["prediction"] in "abc"
    again = apart(tmp_path, "init", "new", "--data", "rows.csv", "--target", "target", *words)
    assert again.code == 3 and again.err.count("error[") == 1
    assert "new/conf/config.yaml" in again.err and "more files are there already" in again.err


def test_init_says_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows().partition("\n")[2])
    answer = mlops(tmp_path, "init", "new", "--data", "rows.csv", "--target", "x")
    assert answer.code == 3 and "--columns" in answer.err
    answer = mlops(tmp_path, "init", "new", "--data", "gone.csv", "--target", "x")
    assert answer.code == 3 and "gone.csv" in answer.err
    assert not (tmp_path / "new").exists()


def test_the_documents(project: Path) -> None:
    compiled = good(project, "compile", "--json", *SMALL, how=apart).document
    assert set(compiled) >= {"plan", "lock", "point_count", "step_count", "steps"}
    assert compiled["point_count"] == 1 and compiled["step_count"] == len(compiled["steps"]) == 8
    assert set(compiled["steps"][0]) >= {"name", "kind", "key", "effect", "reason", "inputs"}
    run = good(project, "run", "--json", *SMALL, how=apart).document
    assert run["plan"] == compiled["plan"] and run["status"] == "ok" and run["registered"] is None
    assert [step["name"] for step in run["steps"]] == [step["name"] for step in compiled["steps"]]
    assert run["bundle"]["digest"] and (project / run["bundle"]["path"] / "app.py").is_file()
    config = good(project, "config", "--json", how=apart).document["config"]
    assert config["data"]["name"] == "shop"
    origins = good(project, "config", "--origins", "--json", "seed=4", how=apart).document[
        "origins"
    ]
    places = {row["key"]: row["origin"] for row in origins}
    assert places["seed"] == "override seed=4"
    assert places["data.target"] == "conf/data/shop.yaml:3:9"


def test_every_intermediate_value_prints(project: Path, tmp_path: Path) -> None:
    for what in ("config", "spec", "plan", "lock"):
        value = json.loads(good(project, "compile", "--emit", what, "-o", "no.json").out)
        assert value
    assert not (project / "no.json").exists()
    assert yaml.safe_load(good(project, "config").out)["model"]["family"] == "lightgbm"


def test_a_run_directory(project: Path) -> None:
    directory = _last_run(project)
    names = {path.name for path in directory.iterdir()}
    assert names == {
        *(".hydra", "mlops_compile.log", "plan.lock.json", "record.json", "metrics.json", "bundle"),
        "evaluation.json",
    }
    record = json.loads((directory / "record.json").read_text())
    assert record["platform"]["architecture"] and record["metrics"]["test"]


def test_a_log_that_cannot_be_written_is_said_once(project: Path) -> None:
    """As on a full disk; the results are there all the same."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    answer = good(project, "run", *SMALL, "hydra.job_logging.handlers.file.filename=/dev/full")
    assert answer.err.count("warning: the run's log cannot be written: ") == 1
    assert "Logging error" not in answer.err and "0 ran, 8 unchanged" in answer.out


def test_locked(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    assert mlops(project, "compile", "--locked").code == 4
    good(project, "compile", *SMALL)
    lock = (project / "plan.lock.json").read_bytes()
    good(project, "compile", "--locked", *SMALL)
    stale = mlops(project, "compile", "--locked", *SMALL, "model.params.num_leaves=9")
    assert stale.code == 4 and "num_leaves: 31 -> 9" in stale.err
    assert mlops(project, "run", "--locked", "seed=1", *SMALL).code == 4
    assert not (project / ".mlops" / "store" / "actions").exists()
    assert good(project, "run", "--locked", *SMALL).code == 0
    # Exactly that lock, whatever conf/ says now.
    (project / "conf" / "data" / "shop.yaml").write_text("name: [")
    again = mlops(project, "run", "--plan", "plan.lock.json", "--json")
    assert again.code == 3  # conf/ says where the store is, and must be readable for that
    (project / "conf" / "data" / "shop.yaml").write_text("name: other\nnonsense: 1\n")
    document = good(project, "run", "--plan", "plan.lock.json", "--json").document
    assert {step["status"] for step in document["steps"]} == {"hit"}
    assert (project / "plan.lock.json").read_bytes() == lock


def test_bundle(project: Path, tmp_path: Path) -> None:
    document = good(project, "run", "--json", *SMALL).document
    kept = project / document["bundle"]["path"]
    for number, model in enumerate(
        (document["directory"], document["bundle"]["digest"], document["model"][:12])
    ):
        out = tmp_path / str(number)
        good(project, "bundle", model, "-o", str(out))
        names = {file.relative_to(kept) for file in kept.rglob("*") if file.is_file()}
        assert names == {file.relative_to(out) for file in out.rglob("*") if file.is_file()}
        for name in names:
            assert (out / name).read_bytes() == (kept / name).read_bytes()
    full = mlops(project, "bundle", document["model"], "-o", str(tmp_path / "0"))
    assert full.code == 2 and "not empty" in full.err
    unknown = mlops(project, "bundle", "f" * 12, "-o", str(tmp_path / "9"))
    assert unknown.code == 3 and "no bundle of" in unknown.err


def test_a_run_without_a_bundle_says_why(project: Path, tmp_path: Path) -> None:
    words = ("run", "--json", *SMALL, "evaluate.gates={log_loss: '<= 1e-9'}")
    failed = mlops(project, *words).document["directory"]
    answer = mlops(project, "bundle", failed, "-o", str(tmp_path / "0"))
    assert answer.code == 3 and f"the run {failed} made no bundle" in answer.err
    (project / "outputs" / "cut").mkdir()
    for verb, *more in (("serve",), ("bundle", "-o", str(tmp_path / "1"))):
        answer = mlops(project, verb, "outputs/cut", *more)
        assert answer.code == 3 and "it has no record.json" in answer.err
    long = mlops(project, "serve", "a" * 5000)
    assert long.code == 3 and "no bundle of" in long.err


def test_runs_at_once_never_share_a_directory(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    command = [sys.executable, "-m", "mlops_compile", "run", "--json", *SMALL]
    running = [
        subprocess.Popen(command, cwd=project, env=package_environment(), stdout=-1, stderr=-1)
        for _ in range(3)
    ]
    documents: list[Any] = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        documents.append(json.loads(out))
    assert len({document["directory"] for document in documents}) == 3
    outputs = [{s["name"]: s["outputs"] for s in document["steps"]} for document in documents]
    assert outputs[0] == outputs[1] == outputs[2]


def test_a_run_that_has_no_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("mine", "utf-8")
    answer = mlops(tmp_path, "run")
    assert answer.code == 7
    assert "outputs/" in answer.err and "cannot be made" in answer.err
    assert (tmp_path / "outputs").read_text("utf-8") == "mine"


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


REFUSED = [
    ("model.params.lerning_rate=1",),
    ("data.split.test_size=1.5",),
    ("model=forest_of_trees",),
    ("data.source.path=nowhere.csv",),
]


@pytest.mark.parametrize("words", REFUSED)
def test_a_refused_run_leaves_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    project = make(tmp_path / "project")
    before = files(project)
    assert mlops(project, "run", *words).code == 3
    assert {name for name in files(project) - before if not name.startswith(".mlops")} == set()


def test_a_refused_run_leaves_what_is_the_users(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    (project / "outputs").mkdir()
    (project / "mine").mkdir()
    (project / "mine" / "notes.txt").write_text("mine", "utf-8")
    before = files(project)
    for place in ((), ("hydra.run.dir=mine",)):
        assert mlops(project, "run", "data.split.test_size=1.5", *place).code == 3
        assert before <= files(project)
    assert (project / "mine" / "notes.txt").read_text("utf-8") == "mine"
    assert not list((project / "outputs").iterdir())


def test_a_refused_run_leaves_what_came_into_its_directory(tmp_path: Path) -> None:
    """As of a callback of the user's: then all of the directory stays."""
    project = make(tmp_path / "project")
    (project / "writes.py").write_text(
        "from pathlib import Path\n"
        "from hydra.experimental.callback import Callback\n"
        "class Writes(Callback):\n"
        "    def on_job_start(self, config, **kwargs):\n"
        "        place = Path(config.hydra.runtime.output_dir)\n"
        "        (place / 'mine.txt').write_text('mine')\n"
    )
    words = ("run", "data.split.test_size=1.5", "+hydra.callbacks.it._target_=writes.Writes")
    answer = apart(project, *words, env={"PYTHONPATH": ""})
    assert answer.code == 3, answer.err
    (there,) = (project / "outputs").glob("*/*")
    assert {"mine.txt", ".hydra/config.yaml"} <= files(there)


def test_a_failed_run_keeps_its_directory(project: Path) -> None:
    words = ("run", "--json", *SMALL, "evaluate.gates={log_loss: '<= 1e-9'}")
    failed = mlops(project, *words)
    assert failed.code not in (0, 3)
    assert (project / failed.document["directory"] / "record.json").is_file()


def test_a_multirun_goes_on_after_a_failure(project: Path) -> None:
    words = ("data.split.test_size=0.2,1.5,0.3", *SMALL)
    answer = mlops(project, "run", "-m", "--json", *words)
    assert answer.code == 3
    points = answer.document["points"]
    assert [point["status"] for point in points] == ["ok", "failed", "ok"]
    assert "test_size" in points[1]["error"]
    assert points[2]["overrides"][0] == "data.split.test_size=0.3"


@pytest.mark.parametrize(
    "words",
    [
        ("compile", "seed=3", "--config-name", "config"),
        ("compile", "--config-name=config", "seed=3"),
        ("config", "seed=3", "--cfg", "job"),
        ("config", "--cfg", "job", "--resolve", "seed=3"),
        ("config", "seed=3", "--cfg", "job", "--package", "model"),
        ("compile", "seed=3", "--info"),
        ("run", "--help"),
        ("compile", "seed=3", "experiment=quick"),
        ("compile", "--config-dir", "conf", "seed=3"),
    ],
)
def test_hydras_flags_in_any_order(project: Path, words: tuple[str, ...]) -> None:
    answer = good(project, *words, how=apart)
    assert answer.out


def test_inspection_leaves_nothing_behind(tmp_path: Path) -> None:
    good(tmp_path, "config")
    good(tmp_path, "compile", "--emit", "spec")
    assert {path.name for path in tmp_path.iterdir()} <= {".mlops"}
    good(tmp_path, "compile")
    assert {path.name for path in tmp_path.iterdir()} == {".mlops", "plan.lock.json"}
    assert {path.name for path in (tmp_path / ".mlops").iterdir()} == {"cache"}
