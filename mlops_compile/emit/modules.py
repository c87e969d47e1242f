"""Loads a module of a bundle, which leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType


def module_of(bundle: Path, name: str) -> ModuleType:
    """A module of the bundle under a name of its own; nothing is left in sys.modules or on disk."""
    path = bundle / f"{name}.py"
    module = ModuleType(f"_bundle_{name}")
    module.__file__ = str(path)
    exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)
    return module
