"""`init`: a new project around a data file."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlops_compile.api.drivers import install
from mlops_compile.api.git import has_git
from mlops_compile.api.project import SCHEMAS
from mlops_compile.api.project import init as new_project
from mlops_compile.cli.show import number, visible
from mlops_compile.cli.verb import Call
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.proposal import Proposal


def run(call: Call) -> int:
    """Look at the file, write the project, say what was found."""
    options = call.options
    columns = tuple(name.strip() for name in options.columns.split(",") if name.strip())
    proposal, files = new_project(
        options.directory, options.data, options.target, columns, tuple(options.exclude)
    )
    drivers = _drivers(options.directory)
    print(_said(options.directory, proposal, files, drivers), file=call.out)
    return 0


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
