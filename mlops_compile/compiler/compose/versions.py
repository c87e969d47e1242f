"""What differs between the versions of Hydra that are supported; the one place that asks for it."""

from __future__ import annotations

from hydra import __version__
from packaging.version import Version

# Hydra 1.3 warns where it is not told whose defaults to take; 1.4 warns where it is.
BASE: dict[str, str] = (
    {} if Version(__version__) >= Version("1.4.0rc1") else {"version_base": "1.3"}
)
