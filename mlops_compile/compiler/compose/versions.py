"""What differs between the versions of Hydra that are supported; the one place that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hydra import __version__
from omegaconf import OmegaConf
from packaging.version import Version

_SINCE_1_4 = Version(__version__) >= Version("1.4.0rc1")

# Hydra 1.3 warns where it is not told whose defaults to take; 1.4 warns where it is.
BASE: dict[str, str] = {} if _SINCE_1_4 else {"version_base": "1.3"}
# 1.4 warns where a stored config takes another's place and nobody said so.
REPLACE: dict[str, Any] = {"replace": True} if _SINCE_1_4 else {}


def register_resolver(name: str, resolver: Callable[[str], str]) -> None:
    """Make `${name:...}` known, in place of what had that name."""
    # Before OmegaConf 2.4, `register_resolver` was another function, of another contract.
    register: Any = OmegaConf.register_resolver if _SINCE_1_4 else OmegaConf.register_new_resolver
    register(name, resolver, replace=True)
