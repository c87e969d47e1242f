"""Sets up the drivers that git calls for locks."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from mlops_compile.api.git import attributes, get_config, has_git, set_config
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.problem import UsageError, problem

DRIVER = "mlops-lock"
ATTRIBUTES = f"diff={DRIVER} merge={DRIVER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of a clone: its key, what it is now, and what it was (None: it was not set)."""

    key: str
    value: str
    before: str | None


def install(directory: Path) -> tuple[Setting, ...]:
    """Tell the clone that a directory is in about the drivers. UsageError where it is in none."""
    if not has_git(directory):
        message = f"{directory.resolve()} is in no git repository"
        hint = "make one with `git init`, and call this again"
        raise UsageError([problem("git", message, hint=hint)])
    settings = {
        f"diff.{DRIVER}.command": _called("diff-driver"),
        f"merge.{DRIVER}.name": "locks of mlops-compile, merged where no step reads both changes",
        f"merge.{DRIVER}.driver": _called("merge-driver %O %A %B %P"),
    }
    return tuple(_set(directory, key, value) for key, value in settings.items())


def _set(directory: Path, key: str, value: str) -> Setting:
    before = get_config(directory, key)
    if before != value:
        set_config(directory, key, value)
    return Setting(key=key, value=value, before=before)


def _called(action: str) -> str:
    """What git has a shell do. Whatever environment that shell is in, the interpreter that wrote
    it is taken while it is there; else the `mlops-compile` on the PATH.

    `-P`: git calls it in the top directory, and a folder there may have the package's name. `%` is
    git's own sign in the command of a merge driver.
    """
    own = f"{shlex.quote(sys.executable)} -P"
    if "%" in action:
        own = own.replace("%", "%%")
    if_here = f"if {own} -c 'import mlops_compile' 2>/dev/null"
    call = f'{if_here}; then {own} -m mlops_compile "$@"; else mlops-compile "$@"; fi'
    return f"call() {{ {call}; }}; call git {action}"


def lacks_attributes(directory: Path) -> bool:
    """Whether git would not call the drivers for a directory's lock."""
    return attributes(directory, LOCK_FILE, ("diff", "merge")) != {"diff": DRIVER, "merge": DRIVER}
