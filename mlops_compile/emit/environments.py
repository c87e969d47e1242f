"""Environments made anew: they have what a bundle's requirements name, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_compile.ir.problem import StepError, problem

_LONGEST = 1800.0  # seconds
# What an environment says of itself.
_ABOUT = """
import importlib.metadata, json, platform
print(json.dumps({
    "python": platform.python_version(),
    "implementation": platform.python_implementation(),
    "libc": " ".join(platform.libc_ver()).strip(),
    "machine": platform.machine(),
    "distributions": {d.name: d.version for d in importlib.metadata.distributions()},
}))
"""


def environment_of(requirements: Path, place: Path) -> Path:
    """The Python of a new environment at `place` that has what a requirements file names: by uv
    where that is, else by venv and pip, from the index that is configured. StepError where it
    cannot be made."""
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    file = str(requirements)
    if uv := shutil.which("uv"):
        _done([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
        _done([uv, "pip", "install", "--quiet", "--python", str(python), "-r", file])
    else:
        _done([sys.executable, "-m", "venv", str(place)])
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _done([*pip, "-r", file])
    return python


def about(python: Path) -> Mapping[str, Any]:
    """What an environment is: its Python, C library and machine, and the versions of all that is
    installed there, by name."""
    found: Mapping[str, Any] = json.loads(_done([str(python), "-I", "-c", _ABOUT]))
    return found


def compiler() -> str | None:
    """The compiler that scorers are compiled by, as it calls itself; None where there is none."""
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return _done([path, "--version"]).splitlines()[0].strip()
    return None


def _done(command: list[str]) -> str:
    """What a command prints. StepError where it fails."""
    # What the caller's own environment says of Python is not for another.
    kept = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    kept.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(
            command, env=kept, capture_output=True, text=True, timeout=_LONGEST, check=True
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        why = said.splitlines()[-1] if said else f"exit {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    else:
        return done.stdout
    name = Path(command[0]).name
    message = f"no environment with the bundle's requirements can be made: {name} says: {why}"
    hint = (
        "it installs requirements.txt from the package index that is configured: is that reached?"
    )
    raise StepError([problem("no-environment", message, hint=hint)])
