"""A year of adult's service on the command line: asked, told a month late, monitored, improved.

MLOPS_DATA=DIR python -m tests.benchmarks.lived [rows a month]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.year import adult_project, adult_rows
from tests.lived_year import BREAK, DRIFT, MISSING, TILTS, YEAR, Month, live
from tests.project import good


def main() -> None:
    rows = int([*sys.argv[1:], "2000"][0])
    data = Path(os.environ["MLOPS_DATA"])
    frame = adult_rows(data / "adult-test.csv")

    def rows_of(number: int, kind: str) -> list[dict[str, Any]]:
        draw = np.random.default_rng(number)
        ages = frame["age"].to_numpy(dtype="float64")
        tilt = TILTS[number - YEAR.index(DRIFT)] if kind == DRIFT else 0.0
        weights = np.exp(tilt * (ages - ages.mean()) / ages.std())
        asked = frame.iloc[draw.choice(len(frame), rows, p=weights / weights.sum())].copy()
        if kind == BREAK:
            asked["hours_per_week"] *= 60
        elif kind == MISSING:
            asked.loc[draw.random(rows) < 0.3, "occupation"] = None
        return asked.astype(object).where(asked.notna(), None).to_dict("records")  # type: ignore[return-value]

    with tempfile.TemporaryDirectory() as room:
        project = adult_project(Path(room), data)
        good(project, "run", "--json", "--quiet")
        versions = good(project, "registry", "list", "--json").document["versions"]
        name = versions[0]["name"]
        good(project, "registry", "promote", name)
        _tell(live(project, name, "income", rows_of, "monitor.log=log"))
        good(project, "registry", "rollback", name, "--reason", "the unit is mended")
        print(good(project, "registry", "history").out)


def _tell(months: list[Month]) -> None:
    print("| month | | `monitor` | alerts | `improve` | champion |")
    print("| --: | --- | --: | --- | --- | --- |")
    for month in months:
        alerts = ", ".join(f"{kind} {feature}".strip() for kind, feature in month.alerts)
        cells = [month.number + 1, month.kind, month.code, alerts, month.status, month.champion]
        print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
