"""Contest: champion and challenger answer the same rows, old ones and recent ones."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.measured import Measured
from mlops_compile.api.registering import Place
from mlops_compile.api.versions import (
    LEAST_ROWS,
    bundle_of,
    facts_of,
    output_of,
    threshold_of,
)
from mlops_compile.api.writing import written
from mlops_compile.ir.criteria import criteria_of
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map

if TYPE_CHECKING:
    from mlops_compile.steps.versus import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The primary metric of both on the champion's test rows and on the recent rows that neither
    learned from (None: they cannot be compared), whether the challenger wins, and why, or why
    not."""

    old: Verdict | None
    recent: Verdict | None
    wins: bool
    why: str

    def to_dict(self) -> Map:
        verdicts = {"old": self.old, "recent": self.recent}
        told = {name: one.to_dict() if one else None for name, one in verdicts.items()}
        return Map({**told, "wins": self.wins})


def contest(
    place: Place, champion: Measured, challenger: Measured, recent: Path, allowed: float
) -> Contest:
    """The challenger wins where it is surely better on the recent rows, and on the old ones not
    worse by more than `allowed`, a share of the champion's metric."""
    from mlops_compile.steps.metrics import METRICS

    try:
        old, new = _verdicts(place, champion, challenger, recent)
    except ValueError as error:
        return Contest(old=None, recent=None, wins=False, why=f"they cannot be compared: {error}")
    sign = 1 if METRICS[old.metric].greater_is_better else -1
    if sign * (old.old - old.new) > allowed * abs(old.old):
        wins, why = False, f"on the old test rows it is worse by more than {allowed:.0%}"
    elif not new.better:
        wins, why = False, "on the recent rows it is not surely better"
    else:
        wins, why = True, f"on the recent rows {new.metric} is {new.new:.4g}, and was {new.old:.4g}"
    return Contest(old=old, recent=new, wins=wins, why=why)


def _verdicts(
    place: Place, champion: Measured, challenger: Measured, recent: Path
) -> tuple[Verdict, Verdict]:
    """On the champion's test rows, and on the recent ones."""
    from mlops_compile.emit.answering import answered_rows, answered_tests
    from mlops_compile.steps.evaluation import MetricOptions
    from mlops_compile.steps.measure import Answers
    from mlops_compile.steps.tables import read_table
    from mlops_compile.steps.versus import versus

    store, contract = place.state.store, challenger.lock.contract
    if (champion.lock.contract.task, champion.lock.contract.classes) != (
        contract.task,
        contract.classes,
    ):
        raise ValueError("they answer with other classes")
    judged = criteria_of(challenger.lock)
    metric = str(judged["primary"])
    options = from_value(MetricOptions, judged.get("options", Map()))
    predictions = output_of(champion, store, "evaluate", "predictions")
    table = output_of(champion, store, "validate", "table")
    if (count := read_table(recent).num_rows) < LEAST_ROWS:
        raise ValueError(f"{count} recent rows are too few ({LEAST_ROWS})")
    found: list[tuple[Answers, Answers]] = []
    with tempfile.TemporaryDirectory() as room:
        for number, side in enumerate((champion, challenger)):
            bundle = Path(room) / str(number)
            with written(bundle):
                store.blobs.checkout(bundle_of(side), bundle)
            asked, decision = side.lock.contract, threshold_of(facts_of(side, store))
            tests = answered_tests(bundle, asked, table, predictions, decision)
            found.append((tests, answered_rows(bundle, asked, recent, decision)))
    old, new = (
        versus(metric, before, after, level=place.stated.confidence, options=options)
        for before, after in zip(*found, strict=True)
    )
    return old, new
