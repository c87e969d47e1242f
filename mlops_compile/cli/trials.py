"""The trials of a search as a table for people: the best first."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.cli.show import number, table, visible
from mlops_compile.ir.record import RunRecord
from mlops_compile.ir.value import Map, Value, canonical
from mlops_compile.present.words import counted

_MOST = 10  # trials that are shown
_FAILED = 20


def leaderboard(record: RunRecord) -> list[str]:
    """The best trials with their values, and where the logs of failed ones are; no lines without a
    search."""
    best = record.best
    failed = [trial for trial in record.trials if trial["status"] == "failed"]
    lines = []
    if len(best):
        told = f"{number(best['objective'])} ± {number(best['deviation'])}"
        lines.append(f"best of {_counted(record)}: trial {best['number']}, {best['metric']} {told}")
        lines.append(table(_rows(record)))
    if failed:
        lines.append(f"{counted(len(failed), 'trial')} failed, and will be tried again:")
        lines += [_failure(trial) for trial in failed[:_FAILED]]
    if len(failed) > _FAILED:
        lines.append(f"  and {len(failed) - _FAILED} more (trials.csv)")
    return lines


def _counted(record: RunRecord) -> str:
    return counted(len(record.trials), "trial")


def _rows(record: RunRecord) -> list[list[str]]:
    maximize = record.best["direction"] == "maximize"
    scored = [trial for trial in record.trials if trial["objective"] is not None]
    scored.sort(key=lambda trial: (_objective(trial) * (-1 if maximize else 1), _place(trial)))
    shown = scored[:_MOST]
    names = sorted({name for trial in shown for name in _params(trial)})
    short = [name.removeprefix("model.params.").removeprefix("model.") for name in names]
    rows = [["trial", str(record.best["metric"]), *map(visible, short)]]
    for trial in shown:
        params = _params(trial)
        cells = [_text(params[name]) if name in params else "" for name in names]
        rows.append([str(trial["number"]), number(trial["objective"]), *cells])
    return rows


def _failure(trial: Map) -> str:
    error = visible(str(trial["error"])).split("\n")[0]
    log = f" (log: {_shown(Path(str(trial['log'])))})" if "log" in trial else ""
    return f"  trial {trial['number']}: {error}{log}"


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


def _params(trial: Map) -> Map:
    params = trial["params"]
    assert isinstance(params, Map)
    return params


def _objective(trial: Map) -> float:
    value = trial["objective"]
    assert isinstance(value, float)
    return value


def _place(trial: Map) -> int:
    value = trial["number"]
    assert isinstance(value, int)
    return value


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return visible(value)
    return visible(canonical(value).decode("utf-8"))
