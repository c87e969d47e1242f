"""A text of a request is read as those of the data were, so that one record has one answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mlops_compile as mc
from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.emit.modules import module_of
from mlops_compile.emit.render import render
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.sources.cells import clean
from tests.bundles import FLAG, LEVEL, NUMBER, TIME, project, table
from tests.serving import EXAMPLE, people
from tests.specs import spec_of

CITY = "Zürich"
TOLD = (CITY, normalize("NFD", CITY), f" {CITY}", f"\u00a0{normalize('NFD', CITY)}\t\n")


def _with(spec: ServingSpec, trimmed: bool) -> ServingSpec:
    """The same service, whose data had white space around no text, or around some."""
    columns = [
        replace(column, trimmed=trimmed and column.kind == "categorical") for column in spec.columns
    ]
    return replace(spec, columns=tuple(columns))


def _record(spec: ServingSpec, place: Path, record: dict[str, Any]) -> Any:
    (place / "schema.py").write_text(render(spec)["schema.py"], "utf-8")
    return msgspec.json.decode(json.dumps(record), type=module_of(place, "schema").Record)


@pytest.mark.parametrize("trimmed", [True, False])
@pytest.mark.parametrize("text", TOLD)
def test_texts_are_composed_and_trimmed_where_the_data_is(
    tmp_path: Path, text: str, trimmed: bool
) -> None:
    found = _record(_with(people(), trimmed), tmp_path, {**EXAMPLE, "job": text})
    assert found.c2 == (CITY if trimmed else normalize("NFC", text))


@pytest.mark.parametrize("trimmed", [True, False])
def test_what_is_missing_or_empty_stays_so(tmp_path: Path, trimmed: bool) -> None:
    spec = _with(people(), trimmed)
    assert _record(spec, tmp_path, {**EXAMPLE, "job": None}).c2 is None
    assert _record(spec, tmp_path, {**EXAMPLE, "job": ""}).c2 == ""
    assert _record(_with(spec_of("batch"), trimmed), tmp_path, dict(spec_of("batch").example))


def test_python_takes_the_white_space_that_the_sources_do(tmp_path: Path) -> None:
    """Of all of Unicode, beside a letter with a mark to compose."""
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    texts = [f"{character}e\u0301{character}" for character in characters]
    spec = _with(people(), True)
    (tmp_path / "schema.py").write_text(render(spec)["schema.py"], "utf-8")
    read = module_of(tmp_path, "schema").trimmed
    white = [place for place, character in enumerate(characters) if character.isspace()]
    found = clean(pa.array(texts), ()).cells.to_pylist()
    assert [place for place, text in enumerate(found) if text == "é"] == white
    assert [read(texts[place]) for place in white] == ["é"] * len(white)


@pytest.mark.slow
def test_where_the_data_has_white_space_it_is_told_apart(tmp_path: Path) -> None:
    """Parquet holds texts as they are: packaging finds that the bundle answers as the model did."""
    project(tmp_path, family="lightgbm", task="binary", target="batch")
    rows = table("binary")
    for row in rows:
        row[LEVEL] = " x" if row["y"] == rows[0]["y"] else "x"
    columns = {name: [row[name] for row in rows] for name in (NUMBER, LEVEL, FLAG, TIME, "y")}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    words = ("data.source.kind=parquet", "data.source.path=rows.parquet")
    made = mc.run(("evaluate.allow_worse_than_baseline=true", *words), project=tmp_path)
    checkout_bundle(made.bundle, place_with((), tmp_path), tmp_path / "bundle")
    decode = msgspec.json.Decoder(module_of(tmp_path / "bundle", "schema").Record).decode
    scorer = module_of(tmp_path / "bundle", "scorer").Scorer(tmp_path / "bundle", False)
    example = json.loads((tmp_path / "bundle" / "example.json").read_bytes())
    records = [decode(json.dumps({**example, LEVEL: text})) for text in ("x", " x")]
    plain, white = scorer.scores(records)
    assert plain != white
