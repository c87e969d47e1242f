"""`init`: a new project around data."""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path

from mlops_compile.api.drivers import install
from mlops_compile.api.git import has_git
from mlops_compile.api.project import SCHEMAS, Given
from mlops_compile.api.project import init as new_project
from mlops_compile.cli.show import number, visible
from mlops_compile.cli.verb import Call
from mlops_compile.ir.problem import CompileError, Problem, UsageError, problem
from mlops_compile.ir.proposal import Proposal
from mlops_compile.ir.value import dotted
from mlops_compile.steps.sources.kind import SOURCE_KEYS

_DATABASE = re.compile(r"(?:sqlite|postgresql|mysql|mariadb|mssql|oracle)(?:\+\w+)?://")
# What keys of a source, and words of their sentences, are called on the command line.
_FLAGS = (
    ("""$'data.source.options.separator="\\t"'""", "--option separator=tab"),
    ("data.source.options.", "--option "),
    ("data.source.path", "--data"),
    ("data.source.uri", "--data"),
    ("data.source.query", "--query"),
    ("data.source.credentials_env", "--option credentials_env"),
    ("relative to the project", "relative to this directory"),
)


def run(call: Call) -> int:
    """Look at the data, write the project, say what was found."""
    given = _given(call.options)
    try:
        proposal, files = new_project(call.options.directory, given)
    except CompileError as error:
        raise CompileError(map(_by_flag, error.problems)) from None
    drivers = _drivers(call.options.directory)
    print(_said(call.options.directory, proposal, files, drivers), file=call.out)
    return 0


def _given(options: Namespace) -> Given:
    columns = tuple(name.strip() for name in options.columns.split(",") if name.strip())
    names = [name for name, _ in options.options]
    flags = [*(["columns"] if columns else []), *(["exclude"] if options.exclude else [])]
    if twice := [name for name, count in Counter([*names, *flags]).items() if count > 1]:
        raise UsageError(
            problem("usage", f"--option {name} is given twice", hint="leave one of them out")
            for name in twice
        )
    if options.query is None and _DATABASE.match(options.data):
        hint = 'for example --query "SELECT * FROM people ORDER BY id"'
        message = "--data names a database, and --query is to say which rows are meant"
        raise UsageError([problem("usage", message, hint=hint)])
    return Given(
        data=options.data,
        target=options.target,
        query=options.query,
        columns=columns,
        exclude=tuple(options.exclude),
        options=dict(options.options),
    )


def _by_flag(found: Problem) -> Problem:
    """The same problem, said of what was typed in place of the config's keys."""
    where, message = found.where, found.message
    if where[: len(SOURCE_KEYS)] == SOURCE_KEYS != where:
        where, message = (), f"{dotted(where)}: {message}"
    return replace(found, where=where, message=_typed(message), hint=_typed(found.hint))


def _typed(text: str) -> str:
    for key, flag in _FLAGS:
        text = text.replace(key, flag)
    return text


def _drivers(directory: Path) -> str:
    """Set up git's drivers of locks where the project lies in a repository: a line about that;
    empty where it does not."""
    try:
        if not has_git(directory):
            return ""
        install(directory)
    except CompileError as error:
        return f"git's drivers of locks are not set up: {error.problems[0].message}"
    return "git diff and git merge of this clone know locks now (docs/git.md)"


def _said(directory: Path, proposal: Proposal, files: tuple[str, ...], drivers: str) -> str:
    features = [column for column in proposal.columns if column.role == "feature"]
    metric, value = proposal.baseline
    lines = [
        f"{_count(proposal.rows, 'row')}, {_count(len(proposal.columns) + 1, 'column')},"
        f" {_count(len(features), 'feature')}",
        f"target {proposal.target}: {proposal.task} ({proposal.task_note})",
    ]
    if proposal.positive is not None:
        lines.append(f"positive class: {proposal.positive}")
    if proposal.missing_target:
        lines.append(f"{proposal.missing_target} rows without a target are dropped")
    aside = [column for column in proposal.columns if column.role != "feature"]
    lines += [f"{column.name} -> {column.role}: {column.note}" for column in aside]
    lines += [f"note: {warning}" for warning in proposal.warnings]
    lines.append(f"baseline to beat: {metric} {number(value)}")
    shown = dict.fromkeys(_schemas_as_one(file) for file in files)
    lines.append(f"wrote {', '.join(shown)}")
    if drivers:
        lines.append(drivers)
    lines += ["", "next:", f"  cd {shlex.quote(str(directory))} && mlops-compile run"]
    if not drivers:
        lines.append("  git init && mlops-compile git install   # git shows and merges its locks")
    return "\n".join(visible(line) for line in lines)


def _schemas_as_one(file: str) -> str:
    return f"{SCHEMAS}/" if file.startswith(f"{SCHEMAS}/") else file


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
