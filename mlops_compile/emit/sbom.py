"""The bill of materials of a bundle: CycloneDX 1.6, with nothing that differs from time to time."""

from __future__ import annotations

from typing import Any

from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.targets import TARGETS

FILE = "sbom.cdx.json"


def sbom(spec: ServingSpec) -> Map:
    """What a running bundle imports beside Python's own library: the distributions that its code
    needs, those that it can do without as optional, and the model.

    It is complete unless functions of the user import distributions: what these need in their turn
    is theirs to say.
    """
    unused = TARGETS[spec.target].unused
    versions = [(name, version) for name, version in spec.requirements if name not in unused]
    needed = [_library(name, version, "required") for name, version in versions]
    optional = [_library(name, version, "optional") for name, version, _ in spec.optional]
    libraries = sorted(needed + optional, key=lambda item: str(item["bom-ref"]))
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": f"{spec.name} ({spec.family})",
        "version": spec.model,
    }
    refs = [str(item["bom-ref"]) for item in (model, *libraries)]
    found = freeze(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application",
                    "bom-ref": "bundle",
                    "name": spec.name,
                    "version": spec.model,
                }
            },
            "components": [model, *libraries],
            "dependencies": [{"ref": "bundle", "dependsOn": refs}],
            "compositions": [
                {
                    "aggregate": "incomplete" if _is_open(spec) else "complete",
                    "dependencies": ["bundle"],
                }
            ],
        }
    )
    assert isinstance(found, Map)
    return found


def _library(name: str, version: str, scope: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": scope,
        "purl": purl,
    }


def _is_open(spec: ServingSpec) -> bool:
    """Whether functions of the user import distributions."""
    return bool(spec.carried.distributions)
