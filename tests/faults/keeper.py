"""Forgets a source, or collects garbage: `python -m tests.faults.keeper ROOT gc|DIGEST`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tests.probe  # noqa: F401  # the kinds of steps of the locks that are pinned
from mlops_compile.api.keeping import collect_garbage, forget_source
from mlops_compile.api.roots import Kept
from mlops_compile.api.state import State
from mlops_compile.ir.problem import ProblemsError
from tests.faults.hooks import die_at


def main(root: Path, what: str) -> int:
    """The exit code that `store` has. The environment may say before which change of a file this
    process is killed (MLOPS_FAULTS_DIE)."""
    state = State(root=root / ".mlops")
    print("ready", flush=True)
    if number := int(os.environ.get("MLOPS_FAULTS_DIE", 0)):
        die_at(number)
    try:
        if what == "gc":
            collect_garbage(state, root, Kept(refs=()))
        else:
            forget_source(state, root, what, "asked to")
    except ProblemsError as error:
        for found in error.problems:
            print("problem", found.code, found.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
