"""A service starts where it answers as the model that was fitted, and says so where it does not."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_compile.emit.carried_proof import FILE
from mlops_compile.emit.package import _seal
from mlops_compile.emit.render import render
from tests.bundles import LEVEL, LEVELS, NUMBER, Made, make
from tests.serving import EXAMPLE, Running, people, write


def _one_bit(text: str) -> str:
    """A proof in which the last score of the last record is the next number."""
    proof = json.loads(text)
    answer = proof["records"][-1]["answer"]
    answer[-1] = math.nextafter(float.fromhex(answer[-1]), 2.0).hex()
    return json.dumps(proof)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_host_that_computes_other_bits_is_told(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text = (write(people(), tmp_path / "bundle") / FILE).read_text("utf-8")
    bundle = write(people(), tmp_path / "bundle", **{FILE: _one_bit(text)})
    command = [sys.executable, "app.py", "--port", "0", *workers]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    told = "answers record 8 of proof.json otherwise here than where it was packaged"
    assert told in done.stderr and "package it for this kind of host" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_it_serves_unproved_where_that_is_said(tmp_path: Path, workers: tuple[str, ...]) -> None:
    text = (write(people(), tmp_path / "bundle") / FILE).read_text("utf-8")
    bundle = write(people(), tmp_path / "bundle", **{FILE: _one_bit(text)})
    running = Running(bundle, "--unproved", *workers)
    assert running.predict(EXAMPLE).status_code == 200
    about = running.client.get("/model").json()
    assert about["proved"] is False
    assert about["scorer"] == ("C" if shutil.which("cc") else "Python")  # both answer alike here
    assert running.metrics()["mlops_unproved"] == 1
    said = running.end()
    assert "warning: UNPROVED: it answers record 8 of proof.json otherwise here" in said
    assert re.search(r"\(of 8 records, by \S+e-1\d at most\); it answers all the same", said)


def test_a_corrupt_bundle_is_refused_unproved_too(tmp_path: Path) -> None:
    bundle = write(people(), tmp_path / "bundle")
    with (bundle / FILE).open("a") as file:
        file.write("\n")
    command = [sys.executable, "app.py", "--port", "0", "--unproved"]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "proof.json is not the file that was packaged" in done.stderr


def test_who_is_proved_is_so_whatever_is_allowed(tmp_path: Path) -> None:
    running = Running(write(people(), tmp_path / "bundle"), MLOPS_UNPROVED="1")
    assert running.client.get("/model").json()["proved"] is True
    assert running.metrics()["mlops_unproved"] == 0
    assert "UNPROVED" not in running.end()


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_where_c_differs_python_answers_and_says_so(tmp_path: Path) -> None:
    source = render(people())["scorer.c"]
    assert "exp(-s[i])" in source
    other = source.replace("exp(-s[i])", "exp(-s[i] * (1.0 + 1e-15))")
    bundle = write(people(), tmp_path / "bundle", **{"scorer.c": other})
    running = Running(bundle)
    assert running.predict(EXAMPLE).status_code == 200
    assert running.client.get("/model").json()["scorer"] == "Python"
    said = running.end()
    assert "the scorer runs in Python, which is slower: in C it answers record " in said


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("proof"), target="batch")


def test_it_holds_nothing_that_no_record_is(batch: Made) -> None:
    entries = json.loads((batch.bundle / FILE).read_text("utf-8"))["records"]
    assert len(entries) == 64
    assert all(len(entry["answer"]) == 2 for entry in entries)
    real = batch.held_out()[0]
    assert not [entry for entry in entries if entry["record"] in real]
    assert {entry["record"].get(LEVEL) for entry in entries} & {*LEVELS}  # not sensitive here


def test_a_command_writes_nothing_where_it_is_unproved(batch: Made, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(batch.bundle, tmp_path / "bundle"))
    command = [sys.executable, "-B", "batch.py", "example.jsonl", "-o", "../out.csv"]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.csv").unlink()
    (bundle / FILE).write_text(_one_bit((bundle / FILE).read_text("utf-8")), "utf-8")
    done = subprocess.run([*command, "--unproved"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 1 and "proof.json is not the file that was packaged" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    _seal(bundle)
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 1 and "record 64 of proof.json otherwise here" in done.stderr
    assert not (tmp_path / "out.csv").exists()
    done = subprocess.run([*command, "--unproved"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0 and "warning: UNPROVED: it answers record 64" in done.stderr
    assert (tmp_path / "out.csv").exists()


def test_of_sensitive_columns_it_holds_nothing_of_the_data(tmp_path: Path) -> None:
    columns = {name: {"sensitive": True} for name in (LEVEL, NUMBER)}
    made = make(tmp_path, config={"data": {"columns": columns}})
    entries = json.loads((made.bundle / FILE).read_text("utf-8"))["records"]
    assert not {entry["record"].get(LEVEL) for entry in entries} & {*LEVELS}
    numbers = {row[NUMBER] for row in made.held_out()[0] if NUMBER in row}
    assert not {entry["record"].get(NUMBER) for entry in entries} & numbers
