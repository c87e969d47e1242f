"""The JSON Schema for editors says of a config's keys what the checker says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.compiler.compose.search_path import options_of
from mlops_compile.compiler.json_schema import json_schema, schema_names
from mlops_compile.compiler.offers import FILE
from mlops_compile.compiler.read import Reader
from mlops_compile.compiler.spec import Spec
from mlops_compile.ir.resources import resource
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.families.parameters import parameters
from tests.catalogue import catalogue
from tests.generate_schema import text
from tests.project import good, make, mlops, rows

OPTIONS = options_of((str(resource("conf")),), nested=True)
SCHEMAS = {name: json.loads(json_schema(name, OPTIONS)) for name in schema_names()}
CONF = sorted(resource("conf").rglob("*.yaml"))


def faults(name: str, config: Any) -> list[str]:
    found = jsonschema.Draft7Validator(SCHEMAS[name]).iter_errors(config)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("file", CONF, ids=lambda file: "/".join(file.parts[-2:]))
def test_every_built_in_file_fits(file: Path) -> None:
    group = file.parent.name if file.parent != resource("conf") else "config"
    assert faults(group, yaml.safe_load(file.read_text("utf-8"))) == []


def test_what_init_writes_fits_and_names_its_schema(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(rows(), "utf-8")
    good(tmp_path, "init", "new", "--data", "shop.csv", "--target", "target")
    for file, group in (("config.yaml", "config"), ("data/shop.yaml", "data")):
        text = (tmp_path / "new" / "conf" / file).read_text("utf-8")
        _, _, place = text.splitlines()[0].partition("$schema=")
        schema = json.loads((tmp_path / "new" / "conf" / file).parent.joinpath(place).read_text())
        assert faults(group, yaml.safe_load(text)) == []
        assert schema["title"] == f"mlops_compile: {group}"
        assert "shop" in json.dumps(schema["properties"]["defaults"]) or group == "data"


def test_the_verb(tmp_path: Path) -> None:
    assert json.loads(good(tmp_path, "schema").out)["title"] == "mlops_compile: config"
    assert json.loads(good(tmp_path, "schema", "--group", "model").out) == SCHEMAS["model"]
    good(tmp_path, "schema", "-o", "schemas")
    assert {file.stem for file in (tmp_path / "schemas").iterdir()} == set(SCHEMAS)
    wrong = mlops(tmp_path, "schema", "--group", "modle")
    assert wrong.code == 2 and "did you mean 'model'" in wrong.err


GOOD: dict[str, Any] = {
    "seed": 1,
    "data": {
        "name": "shop",
        "target": "y",
        "task": "binary",
        "source": {"kind": "csv", "path": "a.csv", "options": {"separator": ";"}},
        "columns": {"a": {"type": "numeric"}},
        "split": {"kind": "random", "test_size": 0.2},
    },
    "prepare": {"numeric": ["impute", {"scale": {}}], "columns": {"a": "auto"}},
    "model": {"family": "lightgbm", "params": {"num_leaves": 7}},
    "evaluate": {"metrics": ["roc_auc"], "gates": {"roc_auc": ">= 0.5"}},
    "deploy": {"max_records": 10},
}
# JSON Schema does not tell 1.0 from 1, so no such values here.
PLACES = [
    ("seed",),
    ("data", "name"),
    ("data", "task"),
    ("data", "positive"),
    ("data", "source", "kind"),
    ("data", "source", "path"),
    ("data", "source", "options"),
    ("data", "source", "options", "header"),
    ("data", "source", "options", "missing"),
    ("data", "columns", "a", "role"),
    ("data", "columns", "a", "nope"),
    ("data", "split", "kind"),
    ("data", "split", "test_size"),
    ("data", "split", "column"),
    ("prepare", "numeric"),
    ("prepare", "columns", "a"),
    ("prepare", "nope"),
    ("evaluate", "metrics"),
    ("evaluate", "primary"),
    ("deploy", "max_records"),
    ("deploy", "target"),
    ("execution", "threads"),
    ("nope",),
]
VALUES = [
    *(None, True, 0, -1, 1, 5, 0.2, 1.5, "", "x", "binary", "csv", "time", "auto", "http"),
    *([], ["impute"], ["nope"], [{"impute": {"strategy": "mean"}}], [{"impute": {"nope": 1}}]),
    *(["roc_auc"], ["x"], {}, {"x": 1}, "feature", "roc_auc"),
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(VALUES)), max_size=2))
def test_the_schema_refuses_what_the_reader_refuses(
    changes: list[tuple[tuple[str, ...], Any]],
) -> None:
    config = json.loads(json.dumps(GOOD))
    for path, value in changes:
        place = config
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                return
        place[path[-1]] = value
    reader = Reader()
    frozen = freeze(config)
    assert isinstance(frozen, Map)
    reader.group(Spec, frozen, ())
    said = [found for found in reader.problems if found.code != "missing-value"]
    refused = faults("config", config)
    metrics = [text for text in refused if text.startswith("evaluate.metrics")]
    if said:
        assert refused, said
    elif not reader.problems:  # the check of metrics follows the reading
        assert refused == metrics, refused


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_refused_as_the_table_refuses_them(family: str) -> None:
    for item in parameters(family):
        for value in (True, -1, 0, 3, 0.5, 1e9 + 0.5, "x", *item.choices):
            config = {"family": family, "params": {item.name: value}}
            wanted = bool(item.refused) or item.complaint(value) is not None
            assert bool(faults("model", config)) == wanted, (item.name, value)
    assert faults("model", {"family": family, "params": {"n_leafs": 3}})


def test_open_values_and_hydras_keys_are_known() -> None:
    config = {
        "defaults": ["_self_", {"data": "iris"}, {"override /model": "ridge"}, {"mine": None}],
        "hydra": {"run": {"dir": "x"}},
        "seed": "${other}",
        "data": {"task": "???", "split": {"test_size": "${oc.select:a.b}"}, "columns": None},
        "model": "???",
    }
    assert faults("config", config) == []
    assert faults("experiment", {"defaults": [{"override /data": "mine"}], "seed": 2}) == []


# What a file alone does not show: a file's package, the options of other files, keys of Hydra.
NOT_OF_ONE_FILE = {
    "An experiment without its package",
    "A package directive with a typo",
    "A package with a typo",
    "A package as the first Hydra wrote it",
    "A typo below hydra in a file",
    "Parameters of the old model behind another group",
    # What holds between values, or inside of a text, is beyond a schema.
    "A bound of times that is no time",
    "Choices of another type",
    "A pattern that is none",
    "A pattern with a look-ahead",
    "A key that names a column twice",
    "A part that there is not",
    "Parts of their own that leave nothing",
}
OF_A_VALUE = re.compile(r"error\[MC00(12|13|15|16|18|20)\].*\n +--> (conf/[^:\n]+)")


def test_what_the_catalogue_says_of_a_file_the_schema_says_too(tmp_path: Path) -> None:
    seen = 0
    for number, mistake in enumerate(catalogue()):
        told = {file for _, file in OF_A_VALUE.findall(mistake.says)}
        if not told or mistake.title in NOT_OF_ONE_FILE:
            continue
        project = make(tmp_path / str(number))
        mistake.make(project)
        for file in told:
            _, *folder, _ = Path(file).parts
            name = folder[0] if folder else "config"
            config = yaml.safe_load((project / file).read_text("utf-8"))
            if name in SCHEMAS and isinstance(config, dict):
                seen += 1
                assert faults(name, config), mistake.title
    assert seen > 40


def test_an_empty_file_is_a_config() -> None:
    assert not any(faults(name, None) for name in SCHEMAS)


def test_the_schema_that_shells_complete_by_is_current() -> None:
    assert FILE.read_text("utf-8") == text(), "write it again: nox -s schema"
