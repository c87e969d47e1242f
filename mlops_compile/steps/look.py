"""Looks at a delimited file as a person would before modelling: what `init` writes down."""

from __future__ import annotations

import csv
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.proposal import ColumnProposal, Proposal
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.source import ColumnFact, Source
from mlops_compile.ir.value import Map, Value
from mlops_compile.steps.columns import feature_type, sendable
from mlops_compile.steps.leaks import sum_of
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.sources.csv import scan
from mlops_compile.steps.sources.delimited.faults import reason
from mlops_compile.steps.sources.delimited.options import CsvOptions, CsvSource
from mlops_compile.steps.sources.encodings import marked
from mlops_compile.steps.sources.kind import Facts, link_tree
from mlops_compile.steps.sources.marks import MISSING
from mlops_compile.steps.sources.unpacking import UNPACKING, UNREADABLE, Packed, open_unpacked
from mlops_compile.steps.tables import read_table

_HEAD_BYTES = 1 << 18
_LOOK_ROWS = 200_000
_SEPARATORS = (",", ";", "\t", "|")
_MARKS = ("?", "-", "--", ".", "#N/A", "n/a", "none", "None", "(null)", "NULL", "unknown", "-999")
_YES = ("yes", "y", "true", "1", "positive", "pos")
_FEW_CLASSES, _MOST_CLASSES = 20, 100


def look(
    file: Path, target: str, columns: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Proposal:
    """What a file holds, and a data config for it. CompileError for a file that cannot serve."""
    if (other := _other_kind(file)) is not None:
        return replace(_look_typed(file, target, columns, exclude, other), kind=other)
    if exclude:
        message = f"--exclude is for Parquet and JSON lines, and {file} is neither"
        hint = "of delimited text, a column is left out by its role: ignore, in the new project"
        raise CompileError([problem("columns", message, hint=hint)])
    options = _options(file, columns)
    try:
        frame = _frame(file, options)
    except (ValueError, pd.errors.ParserError) as error:
        scan((file,), _source(file, options), {}, target)  # says it by the line
        reason = str(error).strip().splitlines()[-1]
        message = f"{file} cannot be read as delimited text: {reason}"
        raise CompileError([problem("csv", message)]) from None
    if frame.empty:
        raise CompileError([problem("empty", f"{file} has a header and no rows")])
    if target not in frame.columns:
        raise CompileError([_no_target(target, list(frame.columns), bool(columns))])
    marks = _missing_marks(frame)
    options = {**options, **({"missing": (*MISSING, *marks)} if marks else {})}
    facts = scan((file,), _source(file, options), {}, target)
    return _proposal(frame, facts, target, options, marks)


def _other_kind(file: Path) -> str | None:
    """The kind of source that a folder or a file's beginning tells, where that is not csv."""
    if file.is_dir():
        return "parquet"
    try:
        with open_unpacked(file) as stream:
            head = stream.read(_HEAD_BYTES)
    except UNPACKING:  # is said by what reads it as text
        return None
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else None


def _look_typed(
    file: Path, target: str, columns: Sequence[str], exclude: Sequence[str], kind: str
) -> Proposal:
    """The same of a file whose columns have names and types."""
    if columns:
        raise CompileError([problem("columns", f"{file} names its columns itself: no --columns")])
    source = SOURCES[kind]
    options: dict[str, Value] = {"exclude": tuple(exclude)} if exclude else {}
    keys = Map({"kind": kind, "path": str(file), "options": Map(options)})
    spec = from_value(source.spec, keys)
    files = source.files(spec, Path())
    with tempfile.TemporaryDirectory(prefix="mlops-") as made:
        room = Path(made)
        here = {place.name: place.fetch(room) for place in files.places}
        path = link_tree(room / "tree", here) if files.tree else file
        facts = source.scan((path,), spec, {}, target)
        nowhere = Source(
            kind=kind, location="", digest=digest_of(b""), rows=facts.rows, columns=facts.columns
        )
        source.read((path,), spec, nowhere, room / "table")
        frame = _texts(read_table(room / "table").slice(0, _LOOK_ROWS))
    if target not in frame.columns:
        raise CompileError([_no_target(target, list(frame.columns), True)])
    return _proposal(frame, facts, target, options, ())


def _texts(table: pa.Table) -> pd.DataFrame:
    """Values as the texts that they would be in a csv file."""
    columns = {name: pc.cast(table[name], pa.string()) for name in table.column_names}
    return pd.DataFrame({name: texts.to_pandas() for name, texts in columns.items()}, dtype="str")


def _proposal(
    frame: pd.DataFrame, facts: Facts, target: str, options: dict[str, Value], marks: Sequence[str]
) -> Proposal:
    frame = frame.mask(frame.isin([*MISSING, *marks]))
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
    usual = CsvOptions()
    unusual = {name: value for name, value in options.items() if value != getattr(usual, name, ())}
    return Proposal(
        rows=facts.rows,
        target=target,
        task=task,
        task_note=task_note,
        positive=_positive(truth, facts.levels) if task == "binary" else None,
        options=tuple(unusual.items()),
        missing_target=int(frame[target].isna().sum()),
        columns=proposals,
        split=split,
        split_note=split_note,
        baseline=_baseline(truth, task),
        warnings=(*_warnings(frame, target, task, proposals), *_mixed(facts, target)),
    )


def _options(file: Path, columns: Sequence[str]) -> dict[str, Value]:
    """How to read the file: encoding, separator and header, from its first rows."""
    try:
        with open_unpacked(file) as stream:
            head = stream.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise CompileError([problem("no-file", f"there is no file {file}")]) from None
    except Packed as error:
        raise CompileError([problem("packed", f"{file} {error.message}", (), error.hint)]) from None
    except UNREADABLE as error:
        raise CompileError([problem("source", f"{file} cannot be read: {reason(error)}")]) from None
    if not head.strip():
        raise CompileError([problem("empty", f"{file} is empty")])
    if b"\0" in head and not marked(head):
        raise CompileError([problem("binary", f"{file} is a binary file, not delimited text")])
    encoding = marked(head) or _encoding(head)
    lines = head.decode(encoding, errors="replace").splitlines()
    if len(head) == _HEAD_BYTES:
        lines = lines[:-1]  # it may be cut off
    lines = [line for line in lines if line.strip()][:200]
    if not lines:
        message = f"{file} has no line of text in its first {_HEAD_BYTES} bytes"
        raise CompileError([problem("csv", message)])
    separator = _separator(lines)
    first = [cell.strip() for cell in next(csv.reader(lines, delimiter=separator))]
    options: dict[str, Value] = {"separator": separator, "encoding": encoding}
    if not columns:
        if any(_is_number(cell) for cell in first):
            message = f"the first row of {file} looks like data, not like names"
            hint = "name the columns: --columns a,b,c"
            raise CompileError([problem("header", message, hint=hint)])
        return {**options, "header": True}
    if len(columns) != len(first):
        message = f"--columns names {len(columns)} columns, and {file} has {len(first)}"
        raise CompileError([problem("columns", message)])
    return {**options, "header": first == list(columns), "columns": tuple(columns)}


def _encoding(head: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            # a character may be cut off at the end of the head
            head[: len(head) - 4 if len(head) == _HEAD_BYTES else len(head)].decode(encoding)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def _separator(lines: list[str]) -> str:
    """The separator that cuts the most rows into the same number of cells, above one."""

    def score(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        usual = max(set(counts), key=counts.count)
        return (counts.count(usual) / len(counts) if usual > 1 else 0.0, usual)

    return max(_SEPARATORS, key=score)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _frame(file: Path, options: dict[str, Value]) -> pd.DataFrame:
    """The file's texts, trimmed; of the first rows only where there are very many."""
    try:
        with open_unpacked(file) as stream, warnings.catch_warnings():
            # Rows that are longer than the header: `scan` refuses them by their line.
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            frame = pd.read_csv(
                stream,
                sep=str(options["separator"]),
                encoding=str(options["encoding"]),
                header=0 if options["header"] else None,
                names=list(options["columns"]) if options.get("columns") else None,  # type: ignore[arg-type]
                dtype="str",
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
                nrows=_LOOK_ROWS,
            )
    except UNREADABLE as error:
        raise CompileError([problem("source", f"{file} cannot be read: {reason(error)}")]) from None
    frame.columns = pd.Index(
        [
            f"column_{n}" if str(c).startswith("Unnamed: ") else str(c).strip()
            for n, c in enumerate(frame.columns, 1)
        ]
    )
    for name in frame.columns:
        frame[name] = frame[name].str.strip()
    return frame


def _source(file: Path, options: dict[str, Value]) -> CsvSource:
    return CsvSource(kind="csv", path=str(file), options=CsvOptions(**options))  # type: ignore[arg-type]


def _no_feature(target: str, columns: tuple[ColumnProposal, ...]) -> Problem:
    why = "; ".join(f"{column.name!r}: {column.note}" for column in columns[:30])
    message = f"no column is left to learn {target!r} from" + (f" ({why})" if why else "")
    return problem("no-features", message, hint="take another target, or a file that holds more")


def _no_target(target: str, names: list[str], named: bool) -> Problem:
    hint = f"it has {', '.join(names[:30])}"
    if not named and len(names) > 1:
        hint += "; if its first row is data, name the columns with --columns"
    return problem("no-column", f"the data has no column {target!r}", ("data", "target"), hint)


def _missing_marks(frame: pd.DataFrame) -> tuple[str, ...]:
    """Texts that stand for a missing value: `?` anywhere, others where the rest are numbers."""
    found = set()
    for name in frame.columns:
        column = frame[name][~frame[name].isin(MISSING)]
        present = [mark for mark in _MARKS if (column == mark).any()]
        for mark in present:
            rest = column[column != mark]
            numbers = pd.to_numeric(rest, errors="coerce").notna()
            if mark == "?" or (mark != "-999" and len(rest) and bool(numbers.all())):
                found.add(mark)
    return tuple(sorted(found))


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
