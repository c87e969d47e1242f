"""docs/preparation.md says what the declarations say."""

from __future__ import annotations

import pytest

from mlops_compile.steps.preparations import PREPARATIONS
from tests.generate_preparation import FILE, generate


@pytest.mark.skipif(not FILE.is_file(), reason="no checkout")
def test_the_tables_are_those_of_the_declarations() -> None:
    text = FILE.read_text("utf-8")
    assert generate(text) == text, "write it again: nox -s preparation"
    for name in PREPARATIONS:
        assert f"\n### {name}\n" in text


@pytest.mark.parametrize("name", PREPARATIONS)
def test_every_preparation_says_what_is_missing(name: str) -> None:
    """Of each, the meaning of missing values is stated; of categories, that of unseen ones."""
    preparation = PREPARATIONS[name]
    told = preparation.spec.__doc__ or ""
    if name != "drop":
        assert "issing" in told
    if preparation.accepts == ("categorical",) and name not in ("text_length", "drop"):
        assert "unseen" in told
