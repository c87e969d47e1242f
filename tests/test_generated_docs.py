"""Tables in docs/ are those that the declarations give, and their YAML is what Hydra reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mlops_compile.ir.schema import declared
from mlops_compile.steps.columns import Column, Rows
from tests import generate_validation

IS_HERE = generate_validation.FILE.is_file()  # not beside an installed wheel


@pytest.mark.skipif(not IS_HERE, reason="docs/ is in the checkout")
def test_the_tables_of_validation() -> None:
    text = generate_validation.FILE.read_text("utf-8")
    assert generate_validation.generate(text) == text, "run `nox -s validation`"
    for item in (*declared(Column), *declared(Rows)):
        assert f"| `{item.name}` |" in text


def _keys(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


@pytest.mark.skipif(not IS_HERE, reason="docs/ is in the checkout")
@pytest.mark.parametrize(
    "file", sorted(generate_validation.FILE.parent.glob("*.md")), ids=lambda file: file.name
)
def test_yaml_in_the_documents_has_keys_of_texts(file: Path) -> None:
    """A bare `on` or `no` is none."""
    for text in re.findall(r"^```yaml\n(.*?)^```$", file.read_text("utf-8"), re.M | re.S):
        found = OmegaConf.to_container(OmegaConf.create(text))
        assert [key for key in _keys(found) if not isinstance(key, str)] == []
