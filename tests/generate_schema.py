"""Writes compiler/config.schema.json, by which shells complete: `nox -s schema`."""

from __future__ import annotations

from mlops_compile.compiler.json_schema import WHOLE, json_schema
from mlops_compile.compiler.offers import FILE


def text() -> str:
    """The schema of the whole config, without the options of any project."""
    return json_schema(WHOLE, {})


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
