"""A year of a service, on the command line: what changes is told in its month, what wins is served,
and nothing is said in months in which nothing happened."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.lived_year import BREAK, DRIFT, MISSING, STABLE, TILTS, YEAR, live
from tests.living import csv_of, people
from tests.project import good, make

WORDS = ("model.params.num_iterations=20", "improve.least_rows=100", "monitor.log=log")
FIRST_BREAK = YEAR.index(BREAK)


def holes(rows: list[dict[str, Any]], share: float, draw: random.Random) -> list[dict[str, Any]]:
    """Rows of which a share has no city."""
    return [{**row, "city": None} if draw.random() < share else row for row in rows]


def rows_of(number: int, kind: str) -> list[dict[str, Any]]:
    draw = random.Random(number)
    asked = people(4000, 1000 + number, 100.0 if kind == BREAK else 1.0)
    tilt = TILTS[number - YEAR.index(DRIFT)] if kind == DRIFT else 0.0
    weights = [math.exp(tilt * (row["age"] - 54) / 20.8) for row in asked]
    return holes(draw.choices(asked, weights, k=700), 0.3 if kind == MISSING else 0.02, draw)


@pytest.mark.slow
def test_a_year(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    config = project / "conf" / "config.yaml"
    text = config.read_text("utf-8").replace("register: false", "register: true")
    config.write_text(text, "utf-8")
    learned = holes(people(1500, 0), 0.02, random.Random(9))
    learned = [{**row, "city": row["city"] or ""} for row in learned]
    (project / "rows.csv").write_text(csv_of(learned), "utf-8")
    good(project, "run", "--json", *WORDS)
    good(project, "registry", "promote", "shop", "--json")
    months = live(project, "shop", "target", rows_of, *WORDS)

    for month in months:
        if month.kind == STABLE:
            assert (month.code, month.alerts, month.status) == (0, (), "quiet"), month
    *_, drifted = (month for month in months if month.kind == DRIFT)
    assert drifted.code == 8 and {*drifted.alerts} == {("drift", "age")}
    broken, learning = (month for month in months if month.kind == BREAK)
    assert broken.code == 8 and {("range", "amount"), ("drift", "amount")} <= {*broken.alerts}
    assert {feature for _, feature in broken.alerts} <= {"amount", ""}
    (missing,) = (month for month in months if month.kind == MISSING)
    assert missing.code == 8 and {*missing.alerts} == {("missing", "city")}

    # The truth of the first broken month comes at the end of the second: then it is learned.
    before = [month.champion for month in months[: FIRST_BREAK + 1]]
    assert {*before} == {"shop:1"}
    assert learning.status == "promoted" and learning.champion != "shop:1"
    recent = learning.result["contest"]["recent"]
    assert recent["new"] > recent["old"]
    assert {month.champion for month in months[FIRST_BREAK + 1 :]} == {learning.champion}

    good(project, "registry", "rollback", "shop", "--reason", "the unit is mended")
    events = good(project, "registry", "history", "--json").document["events"][::-1]
    moves = [event for event in events if event["what"] != "registered"]
    told = [(event["what"], event["version"]) for event in moves]
    number = int(learning.champion.rpartition(":")[2])
    assert told == [("promoted", 1), ("promoted", number), ("rolled back", 1)]
    assert learning.result["round"] in moves[1]["reason"]
