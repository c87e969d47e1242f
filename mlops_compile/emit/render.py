"""Renders a service's files from templates: the same spec, the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jinja2

from mlops_compile.emit.openapi import openapi
from mlops_compile.emit.scorers.render import scorer_files
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.resources import package_text, resource
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, Value, parse, pretty

_TYPES = {
    "numeric": "float",
    "categorical": "str",
    "boolean": "bool",
    "datetime": "str",
    "datetime_utc": "str",
}
# The directory of a bundle that holds the user's functions.
FUNCTIONS = "functions"
MANIFEST = "bundle.json"
_FILES = ("observed.py", "schema.py", "scorer.py", "requirements.txt", "README.md")
# Its files without `.jinja` are the same in every bundle: they read in `bundle.json` what differs.
_MODULES = "service"


def render(spec: ServingSpec) -> dict[str, str]:
    """The generated files of a bundle, by name.

    What comes from data reaches code only as Python or JSON literals, so that no name of a column
    can become code.
    """
    own = environment()
    files = {name: own.get_template(f"service/{name}.jinja").render(spec=spec) for name in _FILES}
    files |= modules()
    files |= {f"{FUNCTIONS}/{path}": text for path, text in spec.carried.files}
    if spec.trees is not None:
        files |= scorer_files(spec.trees, own)
    files["example.json"] = pretty(spec.example)
    files["openapi.json"] = pretty(openapi(spec))
    files[MANIFEST] = pretty(_manifest(spec))
    return files


def modules() -> dict[str, str]:
    """The modules and the page of the running service, which are those of every service."""
    found = sorted((resource("templates") / _MODULES).glob("*.*"))
    return {file.name: file.read_text("utf-8") for file in found if file.suffix != ".jinja"}


def environment() -> jinja2.Environment:
    """What reads templates: strict, and with the filters that texts of data need."""
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.FileSystemLoader(resource("templates")), jinja2.FunctionLoader(_of_package)]
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    found.filters.update(literal=literal, prose=prose, importing=importing)
    found.globals["types"] = _TYPES
    return found


def _of_package(name: str) -> str | None:
    """The template of a family that another distribution offers: `package:path`."""
    return package_text(name) if ":" in name else None


def importing(imports: str, needs: list[str]) -> str:
    """A family's imports with those of the standard library that others need, each once."""
    head, gap, rest = imports.partition("\n\n")
    lines = {*head.split("\n"), *needs} - {""}
    ordered = sorted(lines, key=lambda line: (line.startswith("from"), line))
    return "\n".join(ordered) + (gap + rest if gap else "\n")


def literal(value: Any) -> str:
    """A Python literal in ASCII: every text quoted and escaped, in double quotes where it may."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, jinja2.Undefined):
        str(value)  # says what there is not
    text = ascii(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


def prose(text: str) -> str:
    """A text in one line of Markdown, in which nothing of it is markup."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return re.sub(r"([\\`*_\[\]<>&|~#])", r"\\\1", line)


def sealed(files: Mapping[str, bytes]) -> str:
    """The text of `bundle.json`, from its own and all other files of a bundle: with the digests of
    these."""
    stated = parse(files[MANIFEST])
    assert isinstance(stated, Map)
    own = {name: digest_of(data).sha256 for name, data in files.items() if name != MANIFEST}
    return pretty(Map({**stated, "files": Map(own)}))


def _manifest(spec: ServingSpec) -> Map:
    decided: dict[str, Value] = {}
    if spec.calibration:
        decided["calibration"] = spec.calibration
    if spec.threshold is not None:
        decided["threshold"] = spec.threshold
    return Map(
        {
            **decided,
            "format": 1,
            "name": spec.name,
            "model": spec.model,
            "family": spec.family,
            "contract": spec.contract.to_dict(),
            "features": tuple(Map({"name": name, "sort": sort}) for name, sort in spec.made),
            "requirements": Map(spec.requirements),
            "plan": spec.served.plan,
            "service": spec.served.service,
            "sensitive": spec.served.sensitive,
            "levels": spec.served.levels,
            "edges": spec.served.edges,
            "explains": spec.explains,
            "quiet": spec.carried.quiet,
        }
    )
