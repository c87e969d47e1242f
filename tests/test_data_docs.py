"""docs/data.md says what the declarations say."""

from __future__ import annotations

import pytest

from mlops_compile.steps.sources import SOURCES
from tests.generate_data import FILE, generate


def test_the_tables_of_options_are_up_to_date() -> None:
    if not FILE.is_file():
        pytest.skip("the documents are not beside the tests")
    text = FILE.read_text("utf-8")
    assert generate(text) == text, "run `nox -s data`"
    assert all(f"<!-- options of {kind} -->" in text for kind in SOURCES)
