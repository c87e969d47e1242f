"""A year of one service, month by month, on the command line: asked, told, monitored, improved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.living import START, Service
from tests.project import good, mlops

MONTH = timedelta(days=30)
STABLE, DRIFT, BREAK, MISSING = "stable", "slow drift", "sudden break", "missing"
YEAR = (STABLE,) * 3 + (DRIFT,) * 4 + (BREAK,) * 2 + (MISSING,) + (STABLE,) * 2
TILTS = (0.05, 0.1, 0.2, 0.4)  # of the odds to be asked in a month of drift, a deviation of age
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What was seen and done at the end of a month, when the truth of the month before came."""

    number: int
    kind: str
    alerts: tuple[tuple[str, str], ...]  # kind and feature of each alert
    code: int  # the exit code of `monitor`
    status: str  # how `improve` ended
    champion: str
    result: Mapping[str, Any]


def live(
    project: Path,
    name: str,
    target: str,
    rows_of: Callable[[int, str], Rows],
    *words: str,
) -> list[Month]:
    """Live a year with a project whose version 1 is the champion. A month's truths come at the end
    of the next month; then the loop is called, and what wins is promoted and served."""
    found, late = [], []
    for number, kind in enumerate(YEAR):
        start, end = START + number * MONTH, START + (number + 1) * MONTH
        champion = _champion(project, name)
        rows = rows_of(number, kind)
        service = Service(bundle=_bundle(project, champion), log=project / "log")
        ids = service.ask(rows, f"m{number}", start, days=29.0)
        if late:
            service.tell(*late, f"m{number}", end - timedelta(days=1))
        late = [ids, [row[target] for row in rows]]
        found.append(_month(project, name, number, kind, end, words))
    return found


def _month(
    project: Path, name: str, number: int, kind: str, end: datetime, words: tuple[str, ...]
) -> Month:
    until = ("--until", end.isoformat(), "--json", *words)
    seen = mlops(project, "monitor", name, *until, "monitor.window=30d")
    assert seen.code in (0, 8), seen.err
    alerts = tuple(
        (str(one["kind"]), str(one["feature"] or ""))
        for one in seen.document["findings"]
        if one["alert"]
    )
    done = good(
        project,
        "improve",
        name,
        *until,
        "--quiet",
        "improve.policy=promote",
        "monitor.window=30d",
    ).document
    return Month(
        number=number,
        kind=kind,
        alerts=alerts,
        code=seen.code,
        status=done["status"],
        champion=_champion(project, name),
        result=done.get("result") or {},
    )


def _champion(project: Path, name: str) -> str:
    versions = good(project, "registry", "list", "--json").document["versions"]
    (found,) = (one["version"] for one in versions if "champion" in one["aliases"])
    return f"{name}:{found}"


def _bundle(project: Path, version: str) -> Path:
    """The bundle of a version, fetched as an operator does."""
    place = project / "served" / version.replace(":", "-")
    if not place.exists():
        good(project, "bundle", version, "-o", str(place))
    return place
