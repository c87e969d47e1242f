"""Bundles where they will run: new environments, each with the bundle's requirements alone.

They are installed from the package index that is configured. Adult is taken where MLOPS_DATA names
its folder, else rows of its form are made."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from tests.bundles import LEVEL, Made, make
from tests.project import good, mlops
from tests.running import free_port

pytestmark = pytest.mark.slow
CASES = [
    ("lightgbm", "binary", "http"),
    ("random_forest", "multiclass", "http"),
    ("extra_trees", "regression", "http"),
    ("hist_gradient_boosting", "binary", "docker"),
    ("logistic_regression", "multiclass", "kubernetes"),
    ("ridge", "regression", "batch"),
    ("elastic_net", "regression", "http"),
    ("lightgbm", "multiclass", "batch"),
]
ADULT = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,sex,"
    "capital-gain,capital-loss,hours-per-week,native-country,income"
)


def _proved(project: Path, *model: str) -> dict:
    """Prove a bundle twice: the statements are the same."""
    texts = []
    for name in ("one", "two"):
        good(project, "bundle", *model, "-o", name, "--prove")
        texts.append((project / f"{name}.proof.json").read_text("utf-8"))
    assert texts[0] == texts[1]
    return json.loads(texts[0])


@pytest.mark.parametrize(("family", "task", "target"), CASES)
def test_every_family_answers_in_the_evaluated_bits(
    tmp_path: Path, family: str, task: str, target: str
) -> None:
    made = make(tmp_path, family=family, task=task, target=target)
    found = _proved(tmp_path, made.record.bundle)
    assert found["rows"] == len(made.held_out()[0]) and found["bundle"] == made.record.bundle
    needed = json.loads((made.bundle / "bundle.json").read_text("utf-8"))["requirements"]
    own = {"pip", "setuptools"}  # of an environment that venv makes
    installed = found["environment"]["distributions"]
    assert {name: version for name, version in installed.items() if name not in own} == needed
    assert (found["compiler"] is None) == (
        family in ("logistic_regression", "ridge", "elastic_net")
    )


@pytest.mark.parametrize("family", ["lightgbm", "logistic_regression"])
def test_adult(tmp_path: Path, family: str) -> None:
    folder = os.environ.get("MLOPS_DATA")
    if not folder:
        pytest.skip("MLOPS_DATA names no folder")
    data = Path(folder) / "adult-train.csv"
    good(tmp_path, *("init", ".", "--data", str(data), "--target", "income", "--columns", ADULT))
    done = mlops(tmp_path, "run", f"model={family}", "--json")
    found = _proved(tmp_path, json.loads(done.out)["bundle"]["digest"])
    assert found["rows"] == found["requests"]["alone"] == 6512


def _commands(made: Made) -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", (made.bundle / "README.md").read_text("utf-8"), re.S)
    found = block.strip().split("\n")
    assert len(found) == 3  # install, start, ask
    return found


def _shell(command: str, made: Made) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(made.project / "cache")}
    return subprocess.run(
        ["sh", "-c", command], cwd=made.bundle, env=environment, capture_output=True, text=True
    )


def test_the_three_commands_of_a_service(tmp_path: Path) -> None:
    made, port = make(tmp_path), str(free_port())
    install, start, ask = (line.replace("8000", port) for line in _commands(made))
    assert (done := _shell(install, made)).returncode == 0, done.stderr
    process = subprocess.Popen(["sh", "-c", f"exec {start}"], cwd=made.bundle)
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert "probability" in json.loads(_shell(ask, made).stdout)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_the_three_commands_of_a_command(tmp_path: Path) -> None:
    made = make(tmp_path, target="batch")
    for line in _commands(made):
        assert (done := _shell(line, made)).returncode == 0, done.stderr
    assert done.stdout.startswith("row,prediction,probability\n1,")


def test_parquet_comes_by_requirements_of_its_own(tmp_path: Path) -> None:
    made = make(tmp_path, target="batch")
    install, *_ = _commands(made)
    more = ".venv/bin/python -m pip install -r requirements-parquet.txt"
    assert more in (made.bundle / "README.md").read_text("utf-8")
    score = ".venv/bin/python batch.py example.jsonl -o ../answers.parquet"
    assert _shell(install, made).returncode == 0
    done = _shell(score, made)
    assert done.returncode == 3 and "requirements-parquet.txt" in done.stderr
    assert (done := _shell(more, made)).returncode == 0, done.stderr
    assert (done := _shell(score, made)).returncode == 0, done.stderr
    again = ".venv/bin/python batch.py ../answers.parquet -o ../again.csv"
    assert LEVEL in _shell(again, made).stderr  # it reads Parquet, and says what is not there


def test_what_is_not_hashed_is_said_and_can_be_proved(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "own.py").write_text(
        "import packaging.version\n\n\ndef parts(x):\n"
        "    return len(packaging.version.parse(f'{abs(x or 0):.2f}').release) * 1.0\n"
    )
    derive = {"n": {"function": "own.parts", "inputs": ["x"], "type": "numeric"}}
    (tmp_path / "rows.csv").write_text(
        "x,y\n" + "".join(f"{n % 7}.5,{n * n % 31}\n" for n in range(200)), "utf-8"
    )
    good(tmp_path, "init", ".", "--data", "rows.csv", "--target", "y")
    config = tmp_path / "conf" / "config.yaml"
    more = {"code": {"roots": ["src"]}, "prepare": {"derive": derive}}
    config.write_text(config.read_text("utf-8") + yaml.safe_dump(more), "utf-8")
    words = ("model=ridge", "evaluate.allow_worse_than_baseline=true")
    done = mlops(tmp_path, "run", *words, "--json")
    found = _proved(tmp_path, json.loads(done.out)["bundle"]["digest"])
    assert "packaging" in found["environment"]["distributions"]
    text = (tmp_path / "one" / "requirements.txt").read_text("utf-8")
    assert "none are known of packaging==" in text and "--hash" not in text
