"""Searched: the section of a search: what was tried, what it came to, and what mattered."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.ir.value import Map, Value
from mlops_compile.present.blocks import MOST_ROWS, Block, Section, Table, Text
from mlops_compile.present.facts import Run
from mlops_compile.present.steps import log_place
from mlops_compile.present.tried import Tried, Try, axes_of_space
from mlops_compile.present.trying import history, importance, parallel, slices, table_of
from mlops_compile.present.weighing import importances
from mlops_compile.present.words import at, counted, error_text, number, plain_key, value_text
from mlops_compile.steps.metrics import METRICS

_MOST_SHOWN = 20  # trials that stand open


def search_section(run: Run) -> Section | None:
    """All about the search of a run; None where there was none."""
    record = run.record
    if run.space is None or not record.trials:
        return None
    tried = tried_of(run)
    blocks: list[Block] = []
    if tried.good:
        blocks.append(_won(run, tried))
        blocks.append(history(tried))
        if tried.axes:
            blocks.append(parallel(tried))
        shares, how = importances(run.space, run.config, record.trials, tried.maximize)
        if shares:
            blocks.append(importance(shares, how))
        blocks += slices(tried, tuple(sorted(shares, key=lambda key: -shares[key])))
        blocks.append(table_of(tried, "The best trials", _MOST_SHOWN))
    else:
        blocks.append(Text(text="No trial came to an objective.", marked=True))
    blocks += _failed(run)
    return Section(name="search", title="The search", blocks=tuple(blocks))


def tried_of(run: Run) -> Tried:
    """The trials as what was tried."""
    record = run.record
    metric, maximize = _goal(run)
    assert run.space is not None
    return Tried(
        what="trial",
        metric=metric,
        maximize=maximize,
        tries=tuple(map(_try, record.trials)),
        axes=axes_of_space(run.space),
    )


def _goal(run: Run) -> tuple[str, bool]:
    """The metric of the trials, and whether more of it is better."""
    best = run.record.best
    stated = [best.get("metric"), at(run.config, "search", "metric"), run.primary]
    metric = str(next((item for item in stated if item), "objective"))
    usual = "maximize" if metric in METRICS and METRICS[metric].greater_is_better else "minimize"
    direction = best.get("direction") or at(run.config, "search", "direction") or usual
    return metric, direction == "maximize"


def _try(trial: Map) -> Try:
    params, objective, place = trial["params"], trial.get("objective"), trial["number"]
    assert isinstance(params, Map) and isinstance(place, int)
    return Try(
        name=str(place),
        number=place,
        values=params,
        objective=float(objective) if isinstance(objective, int | float) else None,
    )


def _won(run: Run, tried: Tried) -> Table:
    best, each = run.record.best, run.record.best.get("each")
    rows: list[tuple[str, str]] = []
    if len(best):
        told = number(best.get("objective"))
        if isinstance(each, tuple) and len(each) > 1:
            told += f" ± {number(best.get('deviation'), 2)} over {len(each)} folds"
        rows = [("trial", number(best.get("number"))), (tried.metric, told)]
    params: Value = best.get("params")
    held = params.items() if isinstance(params, Map) else ()
    rows += [(plain_key(name), value_text(value)) for name, value in held]
    failed = sum(one.objective is None for one in tried.tries)
    note = f"Best of {counted(len(tried.tries), 'trial')}" + (
        f", {failed} failed." if failed else "."
    )
    return Table(caption="The winner", head=("what", "value"), rows=tuple(rows), note=note)


def _failed(run: Run) -> Iterator[Block]:
    failed = [trial for trial in run.record.trials if trial["status"] == "failed"]
    if not failed:
        return
    rows = []
    for trial in failed[:MOST_ROWS]:
        params = trial["params"]
        held = params.items() if isinstance(params, Map) else ()
        told = ", ".join(f"{plain_key(name)}={value_text(value)}" for name, value in held)
        error = error_text(str(trial.get("error", "")))
        rows.append((number(trial["number"]), told, error, log_place(str(trial.get("log", "")))))
    note = "The same command tries them again."
    if len(failed) > MOST_ROWS:
        note = f"The first {MOST_ROWS} of {len(failed):,}; trials.csv has all. {note}"
    head = ("trial", "values", "error", "log")
    folded = len(rows) > _MOST_SHOWN
    yield Table(
        caption=f"{counted(len(failed), 'trial')} failed",
        head=head,
        rows=tuple(rows),
        note=note,
        folded=folded,
    )
