"""A year of a service, over many seeds: which windows are alerts, and how soon.

Rows of adult's test file, which the model never saw, are asked month by month: four stable months,
four in which the people grow older, a month in which a column changes its unit, a month in which a
column is often missing, and two stable ones. Beside it stand Evidently's default thresholds
(normed Wasserstein distance and Jensen-Shannon distance from 0.1 on, missing values left out; half
of the columns for the data set), computed with scipy.

    MLOPS_DATA=DIR python -m tests.benchmarks.year [seeds] [rows a month]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from mlops_compile.emit.answering import answers_of
from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import Reference, reference_of
from mlops_compile.ir.value import Map, parse
from mlops_compile.monitor.feedback import Feedback
from mlops_compile.monitor.judge import findings
from mlops_compile.monitor.log import WRONG, Counts
from mlops_compile.monitor.windows import Lines, window_of
from mlops_compile.steps.monitoring import Monitor
from mlops_compile.steps.tables import write_table
from tests.project import good

COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]
MONTHS = ("stable",) * 4 + ("slow drift",) * 4 + ("sudden break", "missing") + ("stable",) * 2
LATE = {"performance", "segment", "truth"}  # what needs labels
START = datetime(2026, 1, 1, tzinfo=UTC)
_TILTS = (0.05, 0.1, 0.2, 0.4)  # of the odds to be asked, a deviation of age


@dataclass(frozen=True, kw_only=True)
class World:
    """Rows that may be asked in some kind of month, answered by the service."""

    frame: pd.DataFrame
    table: pa.Table


def main() -> None:
    seeds, rows = (int(word) for word in [*sys.argv[1:], "50", "2000"][:2])
    data = Path(os.environ["MLOPS_DATA"])
    with tempfile.TemporaryDirectory() as room:
        project = adult_project(Path(room), data)
        bundle = project / good(project, "run", "--json", "--quiet").document["bundle"]["path"]
        reference = reference_of(parse((bundle / "reference.json").read_bytes()))
        train = adult_rows(data / "adult-train.csv")
        worlds = {kind: _world(kind, bundle, data, Path(room)) for kind in {*MONTHS}}
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for seed in range(seeds):
        for month, kind in enumerate(MONTHS):
            seen[_name(month)].append(_month(seed, month, worlds[kind], reference, train, rows))
    _tell(seen, seeds, rows)


def _name(month: int) -> str:
    kind = MONTHS[month]
    return f"{kind}, month {month - 3}" if kind == "slow drift" else kind


def adult_project(room: Path, data: Path) -> Path:
    words = ("--data", str(data / "adult-train.csv"), "--target", "income")
    good(room, "init", "adult", *words, "--columns", ",".join(COLUMNS))
    return room / "adult"


def adult_rows(file: Path) -> pd.DataFrame:
    found = pd.read_csv(file, names=COLUMNS, skipinitialspace=True, na_values="?", comment="|")
    found["income"] = found["income"].str.rstrip(".")
    return found


def _world(kind: str, bundle: Path, data: Path, room: Path) -> World:
    frame = adult_rows(data / "adult-test.csv")
    if kind == "sudden break":
        frame["hours_per_week"] *= 60
    elif kind == "missing":
        frame.loc[np.random.default_rng(0).random(len(frame)) < 0.3, "occupation"] = None
    facts = json.loads((bundle / "bundle.json").read_text("utf-8"))
    fields, classes = facts["contract"]["request"], facts["contract"]["response"]["classes"]
    values = {
        name: pa.array(
            frame[name].astype("float64") if fields[name].startswith("numeric") else frame[name],
            from_pandas=True,
        )
        for name in fields
    }
    file = room / "asked.arrow"
    write_table(file, pa.table(values))
    answers = answers_of(bundle, Map({"request": Map(fields)}), file, np.arange(len(frame)))
    shares = pa.StructArray.from_arrays([pa.array(answers[:, place]) for place in (0, 1)], classes)
    columns = {
        f"record.{name}": column.dictionary_encode() if pa.types.is_string(column.type) else column
        for name, column in values.items()
    }
    ids = pa.array([str(number) for number in range(len(frame))])
    told = {"id": ids, "seconds": pa.nulls(len(frame), pa.float64())}
    told |= {WRONG.name: pa.nulls(len(frame), WRONG.type)}
    return World(frame=frame, table=pa.table({**told, **columns, "answer.probabilities": shares}))


def _month(
    seed: int, month: int, world: World, reference: Reference, train: pd.DataFrame, rows: int
) -> dict[str, Any]:
    """What is found in a month, once its labels have come, a month late."""
    draw = np.random.default_rng([seed, month])
    ages = world.frame["age"].to_numpy(dtype="float64")
    weights = np.ones(len(ages))
    if MONTHS[month] == "slow drift":
        weights = np.exp(_TILTS[month - 4] * (ages - ages.mean()) / ages.std())
    places = draw.choice(len(ages), rows, p=weights / weights.sum())
    ids = pa.array([str(number) for number in range(rows)])
    table = world.table.take(pa.array(places)).set_column(0, "id", ids)
    truths = pa.array(world.frame["income"].to_numpy()[places])
    start = START + timedelta(days=30 * month)
    feedback = Feedback(
        table=pa.table({"id": ids, "truth": truths}),
        lines=rows,
        repeated=0,
        corrected=0,
        broken=0,
        other=0,
    )
    lines = Lines(table=table, counts=Counts(), others=0, repeated=0, ids=ids, seen=frozenset())
    window = window_of(lines, feedback, reference, start, start + timedelta(days=30))
    frame = world.frame.iloc[places]
    found = findings(reference, window, Monitor())
    return {"found": found, "evidently": [*_evidently(train, frame)]}


def _evidently(before: pd.DataFrame, now: pd.DataFrame) -> Iterator[str]:
    """The columns that drifted by Evidently's defaults for more than 1,000 rows."""
    for name in COLUMNS[:-1]:
        old, new = before[name].dropna(), now[name].dropna()
        if old.dtype.kind in "if":
            distance = wasserstein_distance(old, new) / max(old.std(ddof=0), 0.001)
        else:
            levels = sorted({*old} | {*new})
            shares = [
                own.value_counts(normalize=True).reindex(levels).fillna(0) for own in (old, new)
            ]
            distance = jensenshannon(*shares, base=2)
        if distance >= 0.1:
            yield name


def _kinds(found: tuple[Finding, ...]) -> set[str]:
    return {finding.kind for finding in found if finding.alert}


def _rules(found: tuple[Finding, ...]) -> bool:
    """Whether a rule for Prometheus would hold: the stability index alone, or a share of breaks
    (beyond the reference's, where that is what is compared), whatever may be an accident."""
    asked = Monitor()
    limits = {"missing": asked.breaks.missing, "unseen": asked.breaks.unseen}
    limits |= {"range": asked.breaks.range}
    return any(
        finding.value is not None
        and (
            (finding.test == "psi" and finding.value >= asked.drift.psi)
            or (
                finding.kind in limits
                and finding.value - (finding.reference or 0.0) * (finding.kind == "missing")
                > limits[finding.kind]
            )
        )
        for finding in found
    )


def _tell(seen: Mapping[str, list[dict[str, Any]]], seeds: int, rows: int) -> None:
    """A row a kind of month: the share of windows that are alerts."""
    print(f"{seeds} seeds, {rows:,} rows a month")
    print("| month | windows | alert | of it by the data | by labels, late "
          "| a rule for Prometheus | Evidently: a column | half of them |")  # fmt: skip
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name, windows in seen.items():
        told = [_kinds(one["found"]) - LATE for one in windows]
        late = [_kinds(one["found"]) & LATE for one in windows]
        columns = [len(one["evidently"]) for one in windows]
        shares = [
            _share(told),
            _share([kinds - {"estimate"} for kinds in told]),
            _share(late),
            _share([_rules(one["found"]) for one in windows]),
            _share(columns),
            _share([count >= 7 for count in columns]),
        ]
        print(f"| {name} | {len(windows)} | {' | '.join(shares)} |")
    first = []
    for seed in range(seeds):
        months = [_kinds(seen[_name(month)][seed]["found"]) - LATE for month in range(4, 8)]
        first.append(next((place for place, kinds in enumerate(months, 1) if kinds), 5))
    counts = {place: first.count(place) for place in sorted({*first})}
    print(f"slow drift is told first in its month (5: never): {counts}")
    print("stable: alerts by kind", _by_kind(seen["stable"]))


def _by_kind(windows: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for one in windows:
        for finding in one["found"]:
            counts[finding.kind] += finding.alert
    return {kind: count for kind, count in counts.items() if count}


def _share(told: list[Any]) -> str:
    return f"{sum(map(bool, told)) / len(told):.1%}"


if __name__ == "__main__":
    main()
