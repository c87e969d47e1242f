"""Writes emit/hashes.json from requirements/main.txt: of what bundles may need, the locked version
with the digests of all of its published files."""

from __future__ import annotations

import json
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlops_compile.emit.requirements import ELSEWHERE, FILE
from mlops_compile.steps.families import FAMILIES
from mlops_compile.steps.targets import TARGETS

LOCKED = Path(__file__).resolve().parent.parent / "requirements" / "main.txt"


def needed() -> set[str]:
    """The distributions that bundles may need, as far as it is known beforehand."""
    targets = {name for target in TARGETS.values() for name in target.distributions}
    optional = {name for target in TARGETS.values() for name, _ in target.optional}
    families = {name for family in FAMILIES.values() for name in family.serving}
    return targets | optional | families | {name for names in ELSEWHERE.values() for name in names}


def locked() -> dict[str, dict[str, object]]:
    """Of each locked distribution its version, its marker and its digests."""
    found: dict[str, dict[str, object]] = {}
    for line in LOCKED.read_text("utf-8").replace("\\\n", " ").splitlines():
        if not line[:1].isalnum():
            continue
        text, *hashes = line.split(" --hash=")
        pin = Requirement(text.strip())
        (version,) = pin.specifier
        found[canonicalize_name(pin.name)] = {
            "version": version.version,
            **({"marker": str(pin.marker)} if pin.marker else {}),
            "hashes": [digest.strip() for digest in hashes],
        }
    return found


def text() -> str:
    """The table."""
    pins = locked()
    return json.dumps({name: pins[name] for name in sorted(needed())}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
