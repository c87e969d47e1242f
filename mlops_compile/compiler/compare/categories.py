"""Categories: what sort of change a cause is, by its path."""

from __future__ import annotations

from mlops_compile.ir.change import Category
from mlops_compile.ir.value import KeyPath

# By the first key of a path: config groups, and what else a lock holds.
_BY_HEAD: dict[str, Category] = {
    "data": "data",
    "sources": "data",
    "prepare": "prepare",
    "search": "space",
    "seed": "training",
    "model": "training",
    "evaluate": "evaluation",
    "deploy": "serving",
    "contract": "serving",
    "monitor": "monitoring",
    "environment": "environment",
    "kinds": "environment",
    "code": "code",
}
_BY_KIND: dict[str, Category] = {
    "acquire": "data",
    "combine": "data",
    "validate": "data",
    "split": "data",
    "inspect": "data",
    "prepare": "prepare",
    "search": "space",
    "trial": "space",
    "train": "training",
    "refit": "training",
    "calibrate": "training",
    "threshold": "training",
    "package": "serving",
}


def category_of(path: KeyPath, kind: str) -> Category:
    """The category of a cause at a path of a lock or config, of a step of a kind; what no path
    tells is that of the kind."""
    return _BY_HEAD.get(path[0]) or _BY_KIND.get(kind, "evaluation")
