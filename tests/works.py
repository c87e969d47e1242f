"""The package step's work, as an executor would give it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_compile.ir.value import freeze
from mlops_compile.steps.kind import Work
from tests.bundles import Made


def work_of(made: Made, directory: Path, **params: Any) -> Work:
    """That of a run's package step, into a directory; `params` stand in place of its own."""
    blobs, record = made.state.store.blobs, made.record
    step = record.lock.plan["package"]
    digests = {port: record[ref.step].output(ref.output) for port, ref in step.inputs}
    blobs.checkout(digests["model"], directory / "model")
    (directory / "bundle").mkdir()
    frozen: Any = freeze({**dict(step.params), **params})
    return Work(
        step="package",
        params=frozen,
        inputs={
            port: directory / "model" if port == "model" else blobs.read(digest)
            for port, digest in digests.items()
        },
        digests=digests,
        outputs={"bundle": directory / "bundle"},
        threads=1,
        contract=record.lock.contract,
    )
