"""Bundles of adult: of the real files where MLOPS_DATA names their folder, else of stand-ins."""

from __future__ import annotations

from pathlib import Path

import mlops_compile as mc
from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.steps.tables import read_table
from mlops_compile.store.store import Store
from tests.sets import adult


def adult_bundle(project: Path, bundle: Path, *words: str) -> mc.RunRecord:
    """Run the project of adult, which is made where there is none, and write its bundle."""
    if not (project / "conf").is_dir():
        adult().make(project)
    record = mc.run(("evaluate.allow_worse_than_baseline=true", *words), project=project)
    checkout_bundle(record.bundle, place_with((), project), bundle)
    return record


def held_out(project: Path, record: mc.RunRecord, most: int) -> tuple[list[dict], list[float]]:
    """Rows of the test part as requests, at most so many, and the positive class's probability
    that was evaluated for each."""
    blobs = Store(project / ".mlops" / "store").blobs
    predictions = read_table(blobs.read(record["evaluate"].output("predictions"))).slice(0, most)
    fields = [field.name for field in record.lock.contract.request]
    table = read_table(blobs.read(record["validate"].output("table"))).select(fields)
    rows = table.take(predictions.column("row")).to_pylist()
    requests = [{n: v for n, v in row.items() if v is not None} for row in rows]
    return requests, predictions.column("p1").to_pylist()
