"""Tables in docs/ are those that the declarations give."""

from __future__ import annotations

import pytest

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
