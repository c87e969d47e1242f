"""The log and feedback of a service, written as it would, by its own scorer."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlops_compile.emit.answering import answers_of
from mlops_compile.ir.value import Map
from mlops_compile.steps.tables import write_table
from tests.project import good, make

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
AFTER = (START + 2 * WEEK).isoformat()
WORDS = ("model.params.num_iterations=20", "monitor.log=log", "improve.least_rows=100")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A bundle that answers rows as if it were asked at a time, into a log."""

    bundle: Path
    log: Path

    def __post_init__(self) -> None:
        self.log.mkdir(parents=True, exist_ok=True)

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.bundle / "bundle.json").read_text("utf-8"))
        return found

    def ask(
        self, rows: Sequence[Mapping[str, Any]], name: str, start: datetime, days: float = 7.0
    ) -> list[str]:
        """Answer records, evenly over some days; their ids."""
        facts, file = self.facts, self.log / "rows.arrow"
        fields = facts["contract"]["request"]
        table = pa.table({one: pa.array([row.get(one) for row in rows]) for one in fields})
        write_table(file, table)
        request = Map({"request": Map(fields)})
        answers = answers_of(self.bundle, request, file, np.arange(len(rows)))
        file.unlink()
        classes = facts["contract"]["response"].get("classes", [])
        head = {"model": facts["model"], "plan": facts["plan"]}
        lines = []
        for place, (record, found) in enumerate(zip(table.to_pylist(), answers, strict=True)):
            told: dict[str, Any] = {"prediction": float(found)} if not classes else {}
            if classes:
                shares = dict(zip(classes, map(float, found), strict=True))
                told = {"prediction": classes[int(found.argmax())], "probabilities": shares}
            time = moment(start + timedelta(days=days * place / len(rows)))
            lines.append(
                {"v": 1, "id": f"{name}-{place}", "time": time, **head, "record": record}
                | {"answer": told, "seconds": 0.0002}
            )
        self._write(f"predictions-{start:%Y%m%dT%H%M%S}-1-{name}.jsonl", lines)
        return [line["id"] for line in lines]

    def tell(self, ids: Sequence[str], truths: Sequence[Any], name: str, time: datetime) -> None:
        """What turned out to be true."""
        said = zip(ids, truths, strict=True)
        lines = [{"v": 1, "id": i, "time": moment(time), "truth": truth} for i, truth in said]
        self._write(f"feedback-{time:%Y%m%dT%H%M%S}-1-{name}.jsonl", lines)

    def _write(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self.log / name).write_text(text, "utf-8")


def moment(time: datetime) -> str:
    """A time as logs have it."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def people(count: int, seed: int, unit: float = 1.0) -> list[dict[str, Any]]:
    """Rows of one world, whose amounts may be in another unit."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        age, amount = draw.uniform(18, 90), draw.gauss(100, 30)
        city = draw.choice(["Oslo", "Rome", "Lyon"])
        score = age / 20 + (city == "Rome") * 2 + amount / 25 + draw.gauss(0, 0.7)
        row = {"age": round(age, 1), "city": city, "amount": round(amount * unit, 4)}
        found.append({**row, "target": "yes" if score > 7.5 else "no"})
    return found


def csv_of(rows: Sequence[dict[str, Any]]) -> str:
    lines = [",".join(map(str, row.values())) for row in rows]
    return "\n".join([",".join(rows[0]), *lines]) + "\n"


def lived(directory: Path) -> Path:
    """A project with a champion whose service was asked for two weeks: as before, then with amounts
    in cents; the truth is known of all."""
    project = make(directory)
    config = project / "conf" / "config.yaml"
    text = config.read_text("utf-8").replace("register: false", "register: true")
    config.write_text(text, "utf-8")
    (project / "rows.csv").write_text(csv_of(people(1500, 0)), "utf-8")
    ran = good(project, "run", "--json", *WORDS).document
    good(project, "registry", "promote", "shop", "--json")
    service = Service(bundle=project / ran["bundle"]["path"], log=project / "log")
    for week, unit in enumerate((1.0, 100.0)):
        rows, start = people(700, week + 1, unit), START + week * WEEK
        ids = service.ask(rows, f"w{week}", start)
        service.tell(ids, [row["target"] for row in rows], f"w{week}", start + WEEK)
    return project
