"""Look: what a person would see in data before modelling, as the data config that `init` writes.

Its rows come from steps/head.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.proposal import ColumnProposal, Proposal
from mlops_compile.ir.source import ColumnFact
from mlops_compile.steps.arrive import Sample
from mlops_compile.steps.columns import feature_type, sendable
from mlops_compile.steps.head import read_head
from mlops_compile.steps.leaks import sum_of
from mlops_compile.steps.sources.kind import Facts

_YES = ("yes", "y", "true", "1", "positive", "pos")
_FEW_CLASSES, _MOST_CLASSES = 20, 100


def look(sample: Sample, target: str) -> Proposal:
    """What data holds, and a data config for it. CompileError for data that cannot serve."""
    head = read_head(sample, target)
    frame, facts = head.frame, head.facts
    types = {fact.name: fact for fact in facts.columns}
    truth = frame[target].dropna()
    if truth.nunique() < 2:
        held = "is the same in every row" if len(truth) else "has no value"
        message = f"{target!r} {held}: there is nothing to learn"
        raise CompileError([problem("target", message, ("data", "target"))])
    task, task_note = _task(truth, types[target])
    rest = [name for name in frame.columns if name != target]
    proposals = tuple(_column(frame, name, types[name], target, task) for name in rest)
    if not any(column.role == "feature" for column in proposals):
        raise CompileError([_no_feature(target, proposals)])
    split, split_note = _split(truth, task, proposals)
    return Proposal(
        kind=sample.spec.kind,
        rows=facts.rows,
        target=target,
        task=task,
        task_note=task_note,
        positive=_positive(truth, facts.levels) if task == "binary" else None,
        options=head.options,
        missing_target=int(frame[target].isna().sum()),
        columns=proposals,
        split=split,
        split_note=split_note,
        baseline=_baseline(truth, task),
        warnings=(*_warnings(frame, target, task, proposals), *_mixed(facts, target)),
    )


def _no_feature(target: str, columns: tuple[ColumnProposal, ...]) -> Problem:
    why = "; ".join(f"{column.name!r}: {column.note}" for column in columns[:30])
    message = f"no column is left to learn {target!r} from" + (f" ({why})" if why else "")
    return problem("no-features", message, hint="take another target, or a file that holds more")


def _task(truth: pd.Series[str], fact: ColumnFact) -> tuple[str, str]:
    levels = truth.nunique()
    if levels == 2:
        return "binary", "two distinct values"
    if fact.type in ("int64", "float64"):
        if fact.type == "int64" and levels <= 10:
            return (
                "multiclass",
                f"{levels} distinct whole numbers; set regression if they are amounts",
            )
        return "regression", f"{levels} distinct numbers"
    if levels <= _MOST_CLASSES:
        many = "" if levels <= _FEW_CLASSES else "; that is many"
        return "multiclass", f"{levels} distinct values{many}"
    message = f"{fact.name!r} has {levels} distinct texts: too many for classes, and no numbers"
    raise CompileError([problem("target", message, ("data", "target"), "take another target")])


def _positive(truth: pd.Series[str], levels: tuple[str, ...]) -> str:
    """The class that means yes, else the rarer one; by its name once converted (`1` for `01`)."""
    for level in levels:
        if level.lower() in _YES:
            return level
    counts = truth.value_counts()
    texts = sorted(truth.unique())
    rarer = min(texts, key=lambda text: (counts[text], text))
    if rarer in levels:
        return str(rarer)
    # Converted texts are in another form; both are in the order of their numbers.
    by_number = sorted(texts, key=float)
    return sorted(levels, key=float)[by_number.index(rarer)]


def _column(
    frame: pd.DataFrame, name: str, fact: ColumnFact, target: str, task: str
) -> ColumnProposal:
    column = frame[name].dropna()
    distinct, sort = column.nunique(), feature_type(fact, None)
    role, note = "feature", ""
    if distinct == 0:
        role, note = "ignore", "all of its values are missing"
    elif distinct == 1:
        role, note = "ignore", "the same in every row"
    elif not sendable(name):
        role, note = "ignore", "no field of a service can have this name; rename it to use it"
    elif _is_id(name, column, fact, len(frame)):
        role, note = "id", f"{distinct} distinct values in {len(column)} rows: looks like an id"
    elif sort == "categorical" and distinct > 1000 and distinct > len(column) / 2:
        role, note = "ignore", f"{distinct} distinct texts: looks like free text"
    elif _gives_away(frame, name, sort, target, task):
        role, note = "ignore", f"determines {target} by itself: does it exist when you predict?"
    elif sort == "datetime":
        note = f"{distinct} times"
    elif sort == "categorical":
        note = f"{distinct} levels"
    if fact.missing and role == "feature":
        missing = int(frame[name].isna().sum())
        note = f"{note}, {missing} missing" if note else f"{missing} missing"
    return ColumnProposal(name=name, type=sort, role=role, note=note)


def _is_id(name: str, column: pd.Series[str], fact: ColumnFact, rows: int) -> bool:
    if fact.type not in ("int64", "string") or rows < 20:
        return False
    named = name.lower() in ("id", "uuid", "guid", "key", "index") or name.lower().endswith(
        ("_id", "-id", " id", "uuid")
    )
    share = column.nunique() / max(1, len(column))
    return share == 1.0 or (named and share > 0.9)


def _gives_away(frame: pd.DataFrame, name: str, sort: str, target: str, task: str) -> bool:
    """Whether one column alone tells the target, in rows that repeat enough to say so."""
    both = frame[[name, target]].dropna()
    if len(both) < 50:
        return False
    if task == "regression":
        if sort != "numeric":
            return False
        numbers = both.apply(pd.to_numeric, errors="coerce").dropna()
        if numbers[name].std() == 0:
            return False
        return bool(abs(np.corrcoef(numbers[name], numbers[target])[0, 1]) > 0.9999)
    if sort == "numeric" and both[name].nunique() > 50:
        ordered = both.assign(number=pd.to_numeric(both[name])).sort_values("number")
        changes = int((ordered[target] != ordered[target].shift()).sum()) - 1
        return changes == both[target].nunique() - 1
    groups = both.groupby(name)[target]
    return bool((groups.nunique() == 1).all()) and groups.ngroups < len(both) / 5


def _split(
    truth: pd.Series[str], task: str, columns: tuple[ColumnProposal, ...]
) -> tuple[str, str]:
    times = [column.name for column in columns if column.type == "datetime"]
    note = ""
    if times:
        note = f"to test on the latest rows instead: kind: time, column: {times[0]}"
    if task == "regression":
        return "random", note
    if int(truth.value_counts().min()) < 5:
        return "random", note or "some classes have too few rows for a stratified split"
    return "stratified", note


def _baseline(truth: pd.Series[str], task: str) -> tuple[str, float]:
    if task == "regression":
        numbers = pd.to_numeric(truth)
        return "rmse", float(np.sqrt(np.mean((numbers - numbers.mean()) ** 2)))
    return "accuracy", float(truth.value_counts(normalize=True).max())


def _warnings(
    frame: pd.DataFrame,
    target: str,
    task: str,
    columns: tuple[ColumnProposal, ...],
) -> list[str]:
    found = []
    if task == "regression" and (parts := _sum_of(frame, target, columns)):
        listed = ", ".join(parts)
        found.append(
            f"{listed} together give {target} away (a weighted sum of them is it): ignore those "
            "that do not exist yet when you predict"
        )
    return found


def _mixed(facts: Facts, target: str) -> list[str]:
    """Columns that are texts because of a few cells."""
    like = {"numeric": "numbers", "datetime": "dates"}
    return [
        f"{name} is read as texts, and nearly all of it look like {like[sort]}: mend the others, or"
        " list them in source.options.missing, and leave its type out"
        for name, sort in facts.nearly
        if name != target
    ]


def _sum_of(
    frame: pd.DataFrame,
    target: str,
    columns: tuple[ColumnProposal, ...],
) -> list[str]:
    """Numeric features whose weighted sum is the target almost everywhere, if there are."""
    names = [c.name for c in columns if c.type == "numeric" and c.role == "feature"]
    numbers = frame[[*names, target]].apply(pd.to_numeric, errors="coerce")
    values = {name: numbers[name].to_numpy("float64") for name in (*names, target)}
    return sum_of({name: values[name] for name in names}, values[target])
