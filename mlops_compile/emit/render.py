"""Renders a bundle's files from templates: the same spec, the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jinja2

from mlops_compile.emit.bins import moment
from mlops_compile.emit.requirements import pins_of
from mlops_compile.emit.sbom import FILE as SBOM
from mlops_compile.emit.sbom import sbom
from mlops_compile.emit.scorers.render import scorer_files
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.resources import package_text, resource
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, Value, parse, pretty
from mlops_compile.steps.targets import TARGETS

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
# What every bundle holds, by the folder of its template.
_FILES = {
    "schema.py": "service",
    "scorer.py": "service",
    "proof.py": "service",
    "README.md": "bundle",
}


def render(spec: ServingSpec) -> dict[str, str]:
    """The generated files of a bundle, by name.

    What comes from data reaches code only as Python or JSON literals, so that no name of a column
    can become code.
    """
    own, target = environment(), TARGETS[spec.target]
    files = {
        name: own.get_template(f"{folder}/{name}.jinja").render(
            spec=spec, target=target, own=target.own(spec)
        )
        for name, folder in _FILES.items()
    }
    files |= target.files(spec, own)
    pinned = own.get_template("bundle/requirements.txt.jinja")
    needs = pins_of(spec.requirements)
    files["requirements.txt"] = pinned.render(needs=needs, what="this bundle needs")
    for name, version, use in spec.optional:
        needs, what = pins_of([(name, version)]), f"{use} needs beside requirements.txt"
        files[f"requirements-{use.lower()}.txt"] = pinned.render(needs=needs, what=what)
    files |= {f"{FUNCTIONS}/{path}": text for path, text in spec.carried.files}
    if spec.trees is not None:
        files |= scorer_files(spec.trees, own)
    files["example.json"] = pretty(spec.example)
    files[SBOM] = pretty(sbom(spec))
    files[MANIFEST] = pretty(_manifest(spec))
    return files


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
    found.filters.update(literal=literal, prose=prose, importing=importing, yaml=yaml_text)
    found.filters["moment"] = moment
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


def yaml_text(text: str) -> str:
    """A YAML scalar in ASCII that is this text, whatever it looks like."""
    return '"' + "".join(map(_yaml_character, text)) + '"'


def _yaml_character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    return f"\\U{ord(character):08X}"


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
            "target": spec.target,
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
