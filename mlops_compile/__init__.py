"""mlops_compile: a config compiler for tabular machine learning.

`compile` turns a Hydra config into a lock, `run` a lock into a trained, evaluated and packaged
model; the same config gives the same artifacts, byte for byte. `mlops-compile --help` shows more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_compile.api.compiling import compile
    from mlops_compile.api.diffing import diff
    from mlops_compile.api.reporting import report
    from mlops_compile.api.running import RunFailed, run
    from mlops_compile.execute.pool import Workers
    from mlops_compile.ir.lock import Lock
    from mlops_compile.ir.problem import CompileError, ProblemsError
    from mlops_compile.ir.record import RunRecord

__version__ = "0.1.0"
__all__ = [
    "CompileError",
    "Lock",
    "ProblemsError",
    "RunFailed",
    "RunRecord",
    "Workers",
    "compile",
    "diff",
    "report",
    "run",
]

_PLACES = {
    "compile": "mlops_compile.api.compiling",
    "diff": "mlops_compile.api.diffing",
    "report": "mlops_compile.api.reporting",
    "run": "mlops_compile.api.running",
    "RunFailed": "mlops_compile.api.running",
    "Workers": "mlops_compile.execute.pool",
    "Lock": "mlops_compile.ir.lock",
    "RunRecord": "mlops_compile.ir.record",
    "CompileError": "mlops_compile.ir.problem",
    "ProblemsError": "mlops_compile.ir.problem",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for, so that importing a part stays cheap."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mlops_compile' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
