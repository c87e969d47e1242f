"""Deployment targets: each is a module, its config file and its templates, and nothing else; what
they write for every family is as golden files have it, and holds names as data."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import mlops_compile.emit.targets
from mlops_compile.emit.render import environment, render
from mlops_compile.emit.targets import http
from mlops_compile.ir.resources import resource
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.targets import TARGETS, target_names
from tests.bundles import FLAG, LEVEL, NAME, NUMBER, TIME
from tests.project import good, make, mlops
from tests.running import free_port
from tests.specs import spec_of

HERE = Path(mlops_compile.emit.targets.__file__).parent
GOLDEN = Path(__file__).parent / "golden" / "targets"
# The service's own files and the scorers have golden files of their own.
ELSEWHERE = {"scorer.c", "scorer.py", "trees.py", "trees.json", "contributions.py", "schema.py"}
ELSEWHERE |= {"proof.py"}
EACH = [(target, family) for target in target_names() for family in FAMILIES]


def test_every_module_has_its_config_and_the_other_way_round() -> None:
    modules = {file.stem for file in HERE.glob("*.py")} - {"__init__"}
    assert modules == {*target_names()} == {*TARGETS}


@pytest.mark.parametrize("name", target_names())
def test_a_target_is_what_its_name_says(name: str) -> None:
    target = TARGETS[name]
    assert target.name == name and target.distributions
    assert (resource("templates") / target.start).is_file()
    assert target.entry in target.files(spec_of(name), environment())


def _files(target: str, family: str) -> Mapping[str, str]:
    """What a target adds, with the family's name left open: nothing else of it may differ."""
    found = render(spec_of(target, family))
    kept = {*found} - ELSEWHERE - {*http.files(spec_of("http", family), environment())}
    return {name: found[name].replace(family, "<family>") for name in sorted(kept)}


@pytest.mark.parametrize(("target", "family"), EACH)
def test_golden_targets(target: str, family: str) -> None:
    """What is generated for a small model, as text; UPDATE_GOLDEN=1 writes it anew."""
    place = GOLDEN / target / ("trees" if FAMILIES[family].trees else "linear")
    files = _files(target, family)
    for name, text in files.items():
        golden = place / name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text, "utf-8")
        assert text == golden.read_text("utf-8"), f"{golden} differs; UPDATE_GOLDEN=1 writes it"
    kept = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    assert kept == {*files}


@pytest.mark.parametrize(("target", "family"), EACH)
def test_names_are_data_in_every_file(target: str, family: str) -> None:
    """Each file is still of its language, and where a name stands it stands whole."""
    files = render(spec_of(target, family))
    assert render(spec_of(target, family)) == files
    for name, text in files.items():
        match Path(name).suffix:
            case ".py":
                found = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
                if name in ("schema.py", "columns.py"):
                    assert {NUMBER, LEVEL, FLAG, TIME} <= found
            case ".json":
                json.loads(text)
            case ".jsonl":
                assert {*json.loads(text)} == {NUMBER, LEVEL, FLAG, TIME}
            case ".yaml":
                value = yaml.safe_load(text)
                if value.get("kind") in ("Deployment", "InferenceService"):
                    assert value["metadata"]["annotations"]["mlops-compile/service"] == NAME
            case ".md":
                assert sum(line.startswith("#") for line in text.splitlines()) == 1
            case ".txt" | ".c" | "":
                assert name in ("Dockerfile", ".dockerignore") or NAME not in text
    assert json.loads(files["bundle.json"])["name"] == NAME


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("deploy.target=htp", "deploy.target"),
        ("deploy.container.replicas=20", "more than deploy.container.most_replicas (10)"),
        ("deploy.container.image='a b'", "the name of an image"),
        ("deploy.container.monitor_schedule=daily", "five fields as cron has them"),
        ("deploy.container.python='3.9'", "3.11"),
        ("deploy.container.log_claim=My_logs", "the name of a claim"),
        ("deploy.container.project_claim=work", "deploy.container.log_claim"),
    ],
)
def test_what_no_target_takes_is_told(tmp_path: Path, words: str, says: str) -> None:
    make(tmp_path)
    answer = mlops(tmp_path, "compile", words)
    assert answer.code == 3 and says in answer.err, answer.err


def test_what_is_no_service_is_not_served(tmp_path: Path) -> None:
    make(tmp_path)
    told = good(tmp_path, "run", "deploy=batch", "model.params.num_iterations=3").out
    assert "take it: mlops-compile bundle outputs/" in told
    (run,) = (tmp_path / "outputs").glob("*/*")
    answer = mlops(tmp_path, "serve", str(run), "--port", str(free_port()))
    assert answer.code == 2 and "is no service" in answer.err
