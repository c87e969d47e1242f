"""The verbs: where each is, and which of them compose a config."""

from __future__ import annotations

from collections.abc import Mapping

# A verb's module is imported when it is called, or when a shell completes its options.
VERBS: Mapping[str, str] = {
    "init": "mlops_compile.cli.init",
    "config": "mlops_compile.cli.config",
    "compile": "mlops_compile.cli.compile",
    "run": "mlops_compile.cli.run",
    "bundle": "mlops_compile.cli.bundle",
    "serve": "mlops_compile.cli.serve",
    "schema": "mlops_compile.cli.schema",
    "explain": "mlops_compile.cli.explain",
}
# Behind these stand Hydra's flags and overrides.
COMPOSING = frozenset({"config", "compile", "run"})
