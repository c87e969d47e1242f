"""Where Hydra 1.3 finds the launcher and the sweeper that mlops_compile registers for its own runs.

Other apps of the environment, which read this too, get no plugin by it, and import nothing.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    from mlops_compile.cli import launching

    return getattr(launching, name)
