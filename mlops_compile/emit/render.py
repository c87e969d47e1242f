"""Renders a service's files from templates: the same spec, the same bytes."""

from __future__ import annotations

from typing import Any

import jinja2

from mlops_compile.emit.openapi import openapi
from mlops_compile.ir.resources import resource
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, pretty

_TYPES = {
    "numeric": "float",
    "categorical": "str",
    "boolean": "bool",
    "datetime": "str",
    "datetime_utc": "str",
}
_FILES = ("app.py", "schema.py", "scorer.py", "requirements.txt", "README.md")


def render(spec: ServingSpec) -> dict[str, str]:
    """The generated files of a bundle, by name.

    What comes from data reaches code only as Python or JSON literals, so that no name of a column
    can become code.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["literal"] = literal
    environment.globals["types"] = _TYPES
    files = {
        name: environment.get_template(f"service/{name}.jinja").render(spec=spec) for name in _FILES
    }
    files["example.json"] = pretty(spec.example)
    files["openapi.json"] = pretty(openapi(spec))
    files["bundle.json"] = pretty(_manifest(spec))
    return files


def literal(value: Any) -> str:
    """A Python literal in ASCII: every text quoted and escaped."""
    return ascii(list(value) if isinstance(value, tuple) else value)


def _manifest(spec: ServingSpec) -> Map:
    return Map(
        {
            "format": 1,
            "name": spec.name,
            "model": spec.model,
            "family": spec.family,
            "contract": spec.contract.to_dict(),
            "requirements": Map(spec.requirements),
        }
    )
