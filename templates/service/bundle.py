"""The bundle: what it says of itself, and whether its files are those that were packaged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

FILE = "bundle.json"


class Corrupt(Exception):
    """A bundle that is not as it was packaged; the text says which file."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: where it lies, what `bundle.json` says, and its digest, which is that of
    `mlops-compile run --json`."""

    directory: Path
    facts: dict
    digest: str


def read(directory: Path) -> Bundle:
    """The bundle in a directory. Corrupt unless every file is what `bundle.json` says."""
    try:
        text = (directory / FILE).read_bytes()
        facts = json.loads(text)
        files = dict(facts["files"])
    except OSError as error:
        raise Corrupt(f"{directory / FILE} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Corrupt(f"{directory / FILE} is no description of a bundle") from None
    entries = {FILE: _entry(text)}
    for name, digest in sorted(files.items()):
        try:
            entries[name] = _entry((directory / name).read_bytes())
        except OSError as error:
            raise Corrupt(f"{directory / name} cannot be read: {error.strerror}") from None
        if entries[name]["digest"] != digest:
            raise Corrupt(f"{directory / name} is not the file that was packaged")
    listing = json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return Bundle(directory, facts, hashlib.sha256(listing.encode("utf-8")).hexdigest())


def of_service(directory: Path) -> Bundle:
    """The same, of a service; Corrupt where the bundle is something else."""
    found = read(directory)
    if "app.py" not in found.facts["files"]:
        target = found.facts.get("target")
        raise Corrupt(f"{directory} is the bundle of no service: deploy.target was {target!r}")
    return found


def _entry(data: bytes) -> dict[str, object]:
    return {"digest": hashlib.sha256(data).hexdigest(), "size": len(data)}
