"""The bill of materials: valid, the same from time to time, and of what is really imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlops_compile.emit.render import render
from mlops_compile.emit.sbom import FILE
from mlops_compile.ir.serving import Carried
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.targets import target_names
from tests.bundles import Made, make
from tests.running import Running, free_port
from tests.specs import spec_of


@pytest.mark.parametrize("target", target_names())
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_valid_by_the_published_schema(target: str, family: str) -> None:
    text = render(spec_of(target, family))[FILE]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert render(spec_of(target, family))[FILE] == text
    assert not {"serialNumber", "timestamp"} & {*json.loads(text), *json.loads(text)["metadata"]}


def test_it_does_not_claim_to_know_what_functions_of_others_import() -> None:
    spec = spec_of("http")
    assert json.loads(render(spec)[FILE])["compositions"][0]["aggregate"] == "complete"
    open_ended = replace(spec, carried=Carried(distributions=("pandas",)))
    assert json.loads(render(open_ended)[FILE])["compositions"][0]["aggregate"] == "incomplete"


def _only(made: Made) -> Mapping[str, str]:
    """An environment in which the listed distributions are all that there is beside Python's own
    library; and Python tells on standard error all that it and its children import."""
    place = made.project / "only"
    place.mkdir()
    for name in _listed(made):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (place / top).exists():
                (place / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return {
        "PYTHONPATH": str(place),
        "PYTHONPROFILEIMPORTTIME": "1",
        "XDG_CACHE_HOME": str(made.project / "cache"),
    }


def _tried(said: str) -> set[str]:
    """The distributions of the modules that something tried to import."""
    names = {found[1] for found in re.finditer(r"^import time:.*\| +(\w+)[.\w]*$", said, re.M)}
    known = packages_distributions()
    return {name for module in names for name in known.get(module, ())}


def _listed(made: Made, scope: str = "required") -> Mapping[str, str]:
    components = json.loads((made.bundle / FILE).read_text("utf-8"))["components"]
    return {item["name"]: item["version"] for item in components if item.get("scope") == scope}


@pytest.mark.parametrize("family", ["lightgbm", "logistic_regression"])
def test_it_lists_what_a_running_service_imports(
    tmp_path_factory: pytest.TempPathFactory, family: str
) -> None:
    """No more, because it works where nothing else is; no less, because all of it is imported."""
    made = make(tmp_path_factory.mktemp("sbom"), family=family)
    port = free_port()
    command = [sys.executable, "-S", "-B", "app.py", "--port", str(port)]
    rows, _ = made.held_out()
    with Running(command, made.bundle, _only(made), port=port) as service:
        service.predict(rows[0])
        service.predict(rows)
    assert {*_listed(made)} <= _tried(service.said())


def test_it_lists_what_a_running_command_imports(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = make(tmp_path_factory.mktemp("sbom"), target="batch")
    words = [
        sys.executable,
        "-S",
        "-B",
        "batch.py",
        "example.jsonl",
        "-o",
        str(made.project / "o.csv"),
    ]
    environment = {**os.environ, **_only(made)}
    done = subprocess.run(
        words, cwd=made.bundle, env=environment, check=True, capture_output=True, text=True
    )
    assert {*_listed(made)} <= _tried(done.stderr)
    assert [*_listed(made, "optional")] == ["pyarrow"]
