"""Bundled sets: what is said of them without reading is what the installed loaders give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.source import Source
from mlops_compile.steps.sources.kind import Facts
from mlops_compile.steps.sources.sklearn import KIND, SETS, SklearnOptions, SklearnSource
from mlops_compile.steps.tables import read_table


def scan(name: str, target: str = "target", **types: str) -> Facts:
    spec = SklearnSource(kind="sklearn", options=SklearnOptions(name=name))
    return KIND.scan((), spec, types, target)


def load(name: str, folder: Path, **types: str) -> Any:
    spec = SklearnSource(kind="sklearn", options=SklearnOptions(name=name))
    facts = scan(name, **types)
    source = Source(
        kind="sklearn", location=name, digest=digest_of(b""), rows=facts.rows, columns=facts.columns
    )
    KIND.read((), spec, source, folder / name)
    return read_table(folder / name)


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_facts_are_what_the_loader_gives(name: str) -> None:
    bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    facts = scan(name)
    assert facts.rows == len(frame)
    assert sorted(frame.columns) == [column.name for column in facts.columns]
    assert not frame.isna().any().any() and not any(column.missing for column in facts.columns)
    assert len({column.name for column in facts.columns}) == len(facts.columns)
    names = [str(text) for text in getattr(bunch, "target_names", [])]
    assert list(SETS[name].classes) == names
    assert facts.levels == tuple(sorted(names))
    types = {column.name: column.type for column in facts.columns}
    assert types.pop("target") == ("string" if names else "float64")
    assert set(types.values()) == {"float64"}


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_table_is_what_the_loader_gives(name: str, tmp_path: Path) -> None:
    bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    table = load(name, tmp_path)
    for column in bunch.frame.columns:
        found = table.column(column).to_pylist()
        if column == "target" and SETS[name].classes:
            assert found == [str(bunch.target_names[code]) for code in bunch.frame[column]]
        else:
            assert found == bunch.frame[column].astype("float64").tolist()


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_files_are_there(name: str) -> None:
    files = KIND.files(SklearnSource(kind="sklearn", options=SklearnOptions(name=name)), Path())
    found = [place.fetch(Path()) for place in files.places]
    assert not files.tree and len(found) == len(SETS[name].files)
    assert all(file.is_file() and file.stat().st_size > 0 for file in found)


def test_a_column_can_be_read_as_text(tmp_path: Path) -> None:
    table = load("iris", tmp_path, **{"petal width (cm)": "string"})
    numbers = sklearn.datasets.load_iris().data[:, 3]
    assert np.array_equal([float(t) for t in table.column("petal width (cm)").to_pylist()], numbers)


def test_a_column_that_cannot_be_the_stated_type_stays_what_it_is() -> None:
    source = SklearnSource(kind="sklearn", options=SklearnOptions(name="diabetes"))
    found = KIND.scan((), source, {"target": "bool", "age": "string"}, "")
    held = {column.name: column.type for column in found.columns}
    assert (held["target"], held["age"]) == ("float64", "string")


def test_another_target_has_no_levels() -> None:
    assert scan("iris", "petal width (cm)").levels == ()
