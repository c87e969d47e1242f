"""Writes a new project: conf/ around data, with what was assumed of it as comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.proposal import ColumnProposal, Proposal
from mlops_compile.ir.value import Map, Value

_CONFIG = """\
# yaml-language-server: $schema=../.schema/config.json
# The configuration of this project. Groups that have no file here are built in:
# `mlops-compile config` shows all of it, `mlops-compile run --help` the choices.
defaults:
  - data: {name}
  - prepare: auto
  - model: {model}
  - search: none
  - evaluate: default
  - deploy: http
  - monitor: default
  - improve: review
  - store: local
  - registry: local
  - execution: local
  - _self_
  - experiment: null

# The format of the keys; a later version reads an older format, and says what to rename.
format: 1

# Every random choice (split, bagging, ...) derives from it.
seed: 0
"""

_README = """\
# {name}

Predicts `{target}` ({task}). Made with `mlops-compile init`.

    mlops-compile run                                # train, evaluate, package
    mlops-compile run model.params.num_leaves=63     # change a parameter: what depends on it runs
    mlops-compile compile                            # write plan.lock.json, to be committed
    mlops-compile serve outputs/DATE/TIME            # answer requests
    mlops-compile git install                        # once in each clone: git merges plan.lock.json

`conf/data/{name}.yaml` says what is assumed of the data, and why. `.schema/` is for editors that
speak to the YAML language server; `mlops-compile schema -o .schema` writes it anew.
"""

_IGNORE = """\
.mlops/
outputs/
multirun/
"""

_ATTRIBUTES = """\
# The drivers are those of `mlops-compile git install`; a clone without them compares texts.
plan.lock.json text eol=lf diff=mlops-lock merge=mlops-lock
"""


def project_files(name: str, keys: Mapping[str, Value], proposal: Proposal) -> dict[str, str]:
    """The files of a new project, by path; `keys` say where the data is."""
    facts = {"name": name, "target": proposal.target, "task": proposal.task}
    return {
        "conf/config.yaml": _CONFIG.format(name=name, model="lightgbm"),
        f"conf/data/{name}.yaml": _data_yaml(name, keys, proposal),
        ".gitignore": _IGNORE,
        ".gitattributes": _ATTRIBUTES,
        "README.md": _README.format(**facts),
    }


def in_the_way(directory: Path, files: dict[str, str]) -> list[Problem]:
    """What of a project's files is there already."""
    found = [str(directory / path) for path in files if (directory / path).exists()]
    if not found:
        return []
    more = f" and {len(found) - 3} more files" if len(found) > 3 else ""
    are = "is" if len(found) == 1 else "are"
    message = f"{', '.join(found[:3])}{more} {are} there already"
    return [problem("exists", message, hint="name another directory")]


def _data_yaml(name: str, keys: Mapping[str, Value], proposal: Proposal) -> str:
    place = _one_line(str(next(iter(keys.values()))))
    lines = [
        "# yaml-language-server: $schema=../../.schema/data.json",
        f"# {place}: {proposal.rows} rows; what `init` assumed is in the comments.",
        f"name: {_scalar(name)}",
        f"target: {_scalar(proposal.target)}",
        _line("task", proposal.task, proposal.task_note),
    ]
    if proposal.positive is not None:
        lines.append(
            _line("positive", proposal.positive, "the class whose probability is the score")
        )
    if proposal.missing_target:
        count = f"{proposal.missing_target} rows have no target"
        lines.append(_line("missing_target", "drop", count))
    lines += ["source:", f"  kind: {proposal.kind}"]
    lines += [f"  {key}: {_scalar(value)}" for key, value in keys.items()]
    options = [f"    {key}: {_scalar(value)}" for key, value in proposal.options]
    if options:
        lines += ["  options:", *options]
    elif "path" in keys:
        lines.append("  options: {}")
    lines += [*(f"# note: {_one_line(warning)}" for warning in proposal.warnings), "columns:"]
    lines += [_column(column) for column in proposal.columns]
    lines += ["split:", f"  {_line('kind', proposal.split, proposal.split_note)}"]
    lines += ["  test_size: 0.2", "  validation_size: 0.0"]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Value, note: str) -> str:
    return f"{key}: {_scalar(value)}" + (f"  # {_one_line(note)}" if note else "")


def _column(column: ColumnProposal) -> str:
    role = f", role: {column.role}" if column.role != "feature" else ""
    note = f"  # {_one_line(column.note)}" if column.note else ""
    name = _quoted(column.name)  # keys hold no interpolations
    return f"  {name}: {{type: {column.type}{role}}}{note}"


def _one_line(text: str) -> str:
    """A note that cannot leave its comment."""
    return "".join(char if char.isprintable() else " " for char in text)


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar; what does not print is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _scalar(value: Value) -> str:
    """A value in YAML's flow style; texts are quoted, since a bare No would be false.

    Hydra would read `${` as an interpolation, so a dollar before a brace is escaped.
    """
    if isinstance(value, tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, Map):  # keys hold no interpolations
        return "{" + ", ".join(f"{_quoted(k)}: {_scalar(v)}" for k, v in value.items()) + "}"
    if not isinstance(value, str):
        return json.dumps(value)
    return _quoted(value).replace("${", "\\\\${")
