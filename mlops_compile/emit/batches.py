"""Proves a command that scores files: from each sort of file it gives the service's own bits."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_compile.ir.contract import Contract, RequestField

if TYPE_CHECKING:
    import pyarrow as pa

# The command without pandas, which pyarrow imports where it is installed, and nobody needs here.
_RUN = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, "")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# What a file is, and what its answers are written as.
SORTS = (("csv", "csv"), ("jsonl", "jsonl"), ("parquet", "csv"))
_LONGEST = 3600.0  # seconds
_ZONED = re.compile(r"(Z|[+-]\d\d:\d\d)$")


def differences(
    bundle: Path,
    scratch: Path,
    contract: Contract,
    requests: Sequence[dict[str, Any]],
    wanted: Sequence[Sequence[float]],
    labels: Sequence[str | None],
    *,
    python: str = sys.executable,
    sorts: Sequence[tuple[str, str]] = SORTS,
) -> Iterator[str]:
    """What differs where a bundle's command scores these requests as files: a sentence for each
    sort of file. `wanted` are their scores, `labels` their classes; `scratch` is where the
    compiled scorer is found or kept, `sorts` what is read with what is written, and `python` what
    runs the command."""
    for sort, answers in sorts:
        source, out = scratch / f"rows.{sort}", scratch / f"answers.{answers}"
        _write(contract, source, sort, requests)
        environment = {**os.environ, "XDG_CACHE_HOME": str(scratch)}
        command = [python, "-B", "-c", _RUN, "batch.py", str(source), "-o", str(out)]
        done = subprocess.run(
            [*command, "--quiet"],
            cwd=bundle,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            yield f"the command fails on {sort}: {said[-1] if said else done.returncode}"
            continue
        found = list(_answers(contract, out, answers))
        right = [_right(contract, *item) for item in zip(wanted, labels, strict=True)]
        if found != right:
            count = sum(a != b for a, b in zip(found, right, strict=False))
            count += abs(len(found) - len(right))
            yield f"the command answers {count} of {len(right)} rows of {sort} otherwise"


def _right(contract: Contract, scores: Sequence[float], label: str | None) -> tuple[Any, ...]:
    if label is None:
        return (scores[0],)
    return (label, scores[1]) if contract.task == "binary" else (label, *scores)


def _answers(contract: Contract, file: Path, sort: str) -> Iterator[tuple[Any, ...]]:
    """The class and probabilities of each row, or its number."""
    classes = contract.classes
    if sort == "csv":
        with file.open(newline="", encoding="utf-8") as lines:
            for _, said, *numbers in list(csv.reader(lines))[1:]:
                found = tuple(map(float, numbers))
                yield (said, *found) if classes else (float(said),)
        return
    for line in file.read_text("utf-8").splitlines():
        answer = json.loads(line)
        if not classes:
            yield (answer["prediction"],)
        elif contract.task == "binary":
            yield (answer["prediction"], answer["probability"])
        else:
            yield (answer["prediction"], *(answer["probabilities"][name] for name in classes))


def _write(contract: Contract, file: Path, sort: str, requests: Sequence[dict[str, Any]]) -> None:
    names = [column.name for column in contract.request]
    if sort == "csv":
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            writer.writerows([_cell(row.get(name)) for name in names] for row in requests)
    elif sort == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in requests), "utf-8")
    else:
        _write_parquet(contract, file, requests)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_parquet(contract: Contract, file: Path, requests: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {column.name: _array(column, requests) for column in contract.request},
    )
    pq.write_table(table, file)


def _array(column: RequestField, requests: Sequence[dict[str, Any]]) -> pa.Array:
    import pyarrow as pa

    values = [row.get(column.name) for row in requests]
    match column.type:
        case "numeric":
            return pa.array(values, pa.float64())
        case "boolean":
            return pa.array(values, pa.bool_())
        case "datetime":
            zone = "UTC" if any(value and _ZONED.search(value) for value in values) else None
            return pa.array(values, pa.string()).cast(pa.timestamp("us", zone))
        case _:
            return pa.array(values, pa.string())
