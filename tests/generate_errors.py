"""Writes docs/errors.md: every code of problems, with an example; `nox -s errors` runs it."""

from __future__ import annotations

import io
import re
from pathlib import Path

from mlops_compile.cli.problems import say_problems
from mlops_compile.ir.codes import CODES, Code
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem, problem
from tests.catalogue import Mistake, catalogue

FILE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
_HEAD = """\
<!-- Written by `nox -s errors`, from mlops_compile/ir/codes.py and tests/mistakes/. -->
# Errors

Every problem has a code, which stays the same from version to version, a place where there is one,
and a line that says what to do. All that can be seen at once is said at once, files first, then
overrides. `mlops-compile explain MC0012` prints what a code means; `--json` gives problems as
`{"format": 1, "problems": [{"code", "name", "key", "message", "note", "help", "origin"}]}`. The
exit code is 2 for the command line, 3 for configs and data, 4 for a lock that is not current, 5
for a step that failed, 6 for a gate that was not met, 7 for the store; a traceback is shown with
`--debug` only.

Built-in config files are shown as `mlops_compile:conf/...`, wherever they are installed.
"""
_GROUPS = {
    1: "Composing the config",
    12: "What the config says",
    30: "Data",
    50: "Plans and locks",
    70: "Running",
    90: "Store and disk",
    100: "The command line",
}
_RENAMED = Origin(source="conf/data/shop.yaml", line=5, column=1, width=3, text="src:")
_WRITE = "write it again with `mlops-compile compile`"
_OWN_BUG = "this is a bug of mlops_compile"
# What no mistake of the catalogue shows: of older formats, of locks, of runs and of the store.
EXAMPLES = (
    Problem(
        code="older-config",
        where=("data", "src"),
        message="is called data.source since format 2",
        hint="rename it, and set format: 2 when all is renamed",
        origin=_RENAMED,
    ),
    problem("source", "rows.csv cannot be read: Permission denied", ("data", "source", "path")),
    problem(
        "binary",
        "rows.csv is a binary file, not delimited text",
        ("data", "source", "path"),
        "of a spreadsheet, export the rows as csv",
    ),
    problem(
        "unlike-files",
        "sales: 1.parquet: 'price' is string, and double in 0.parquet",
        ("data", "source", "path"),
        "write the files with one schema, or leave the column out (options.exclude)",
    ),
    problem(
        "columns-changed",
        "rows.csv has other columns than the lock says",
        ("data", "source", "path"),
    ),
    problem(
        "lock",
        "plan.lock.json is not whole JSON (line 40): Expecting value",
        hint=f"restore it from version control, or {_WRITE}",
    ),
    problem(
        "format",
        "plan.lock.json has no known format: '1'",
        ("format",),
        f'it must hold `"format": 1`; {_WRITE}',
    ),
    problem(
        "newer-format",
        "plan.lock.json has format 2; this version reads up to format 1",
        ("format",),
        "install the newer mlops_compile that wrote it",
    ),
    problem(
        "no-lock", "there is no lock plan.lock.json", hint="write it with `mlops-compile compile`"
    ),
    problem(
        "stale",
        "plan.lock.json is not what the config compiles to:\n  steps.split.seed: 0 -> 7",
        hint=_WRITE,
    ),
    problem(
        "contract",
        "the lock's contract names other classes than the data and the model have",
        ("contract", "response", "classes"),
        f"a lock is made, not edited; {_WRITE}",
    ),
    problem(
        "environment",
        "the lock names pandas 3.1.0; here it is 3.2.0",
        ("environment", "pandas"),
        "python -m pip install pandas==3.1.0, or compile again",
    ),
    problem("repeated-step", "two steps have this name", ("steps", "split")),
    problem("no-such-step", "there is no step 'spilt'", ("steps", "train", "inputs", "train")),
    problem(
        "no-such-output",
        "the step 'split' has no output 'tset'",
        ("steps", "evaluate", "inputs", "test"),
        "it has test, train",
    ),
    problem(
        "cycle",
        "'evaluate' does not come before this step",
        ("steps", "train", "inputs", "train"),
    ),
    problem(
        "step-kind",
        "there is no step kind 'tarin'",
        ("steps", "train", "kind"),
        "this version knows acquire, evaluate, package, prepare, split, train, validate",
    ),
    problem(
        "kind-version",
        "the lock has version 1 of the step kind 'train'; this version runs 2",
        ("steps", "train", "kind"),
        _WRITE,
    ),
    problem(
        "merge",
        "train reads what both change: model.params.num_leaves in ours, model.params.learning_rate"
        " in theirs",
        ("model",),
    ),
    problem(
        "function-failed",
        "features.ratios.share fails at row 12 of the validated table: ZeroDivisionError:"
        " float division by zero",
        ("prepare", "derive", "tip_share", "function"),
        "a value may be None, where it is missing; give None for what cannot be computed",
    ),
    problem(
        "function-changed",
        "the code of features.ratios.share has changed since the lock was written",
        ("code", "functions", "features.ratios.share"),
        "compile again",
    ),
    problem(
        "csv",
        "rows.csv cannot be read as delimited text: a quote is not closed",
        ("data", "source", "path"),
    ),
    problem(
        "split",
        "3 rows leave none for the test part",
        ("data", "split"),
        "give more rows, or other shares in data.split",
    ),
    problem(
        "classes",
        "the training part has no row of the class 'maybe'",
        ("data", "split"),
        "take data.split.kind=stratified, or more rows",
    ),
    problem(
        "training",
        "LightGBM refuses: monotone constraints for 2 features, and there are 5",
        ("model", "params"),
    ),
    problem(
        "impute",
        "all values of the training part are missing, so there is nothing to impute from",
        ("data", "columns", "age"),
        "use {impute: {strategy: constant, value: ...}}, or set the column's role to ignore",
    ),
    problem(
        "scale",
        "all values of the training part are missing, so there is nothing to scale by",
        ("data", "columns", "age"),
    ),
    problem(
        "preparation",
        "scale cannot take categorical values",
        ("prepare", "columns", "city"),
        "it takes numeric, boolean",
    ),
    problem(
        "infinite",
        "row 1 of the data holds an infinite value",
        ("data", "columns", "age"),
        "mend it, or list it in data.source.options.missing",
    ),
    problem(
        "metric",
        "roc_auc of the test part is nan: it holds too few rows or classes",
        ("evaluate", "metrics"),
        "take another metric, or more rows (data.split.test_size)",
    ),
    problem(
        "cell",
        "rows.csv, about line 7: 'about 32' is not a number",
        ("data", "columns", "age"),
        "add it to data.source.options.missing, or set data.columns.age.type",
    ),
    problem("exists", "shop/conf/config.yaml is there already", hint="name another directory"),
    problem(
        "source-changed",
        "rows.csv is not what was locked, and the store has no snapshot of that",
        ("data", "source", "path"),
        "compile again to lock the data as it is now, or bring the file back",
    ),
    problem(
        "gate",
        "the gate is not met: roc_auc is 0.874, not >= 0.9",
        ("evaluate", "gates", "roc_auc"),
        "better the model, or change the gate on purpose",
    ),
    problem(
        "bundle",
        "the service answers otherwise than the evaluated model; the bundle is refused",
        hint=_OWN_BUG,
    ),
    problem("failed", "a step failed"),
    problem("bug", "KeyError: 'x'", hint="this is a bug in mlops_compile; --debug shows where"),
    problem(
        "differs",
        "train gave another model than before from equal causes",
        hint="the step is not reproducible on this machine; see docs/determinism.md",
    ),
    problem(
        "killed",
        "the process that ran train ended before the step did (SIGKILL)",
        hint="if the machine ran out of memory: fewer steps at once (-j 1), or less data",
    ),
    problem(
        "memory",
        "train took 4,310 MiB of memory, more than the 4,096 MiB it may take",
        ("execution", "memory"),
        "allow more, or use less data",
    ),
    problem(
        "no-process",
        "this machine cannot start another process: Resource temporarily unavailable",
        hint="use fewer workers (-j 1), or end what else runs; what is made is kept",
    ),
    problem(
        "unreadable",
        "train cannot read /data/prices.csv: Permission denied",
        hint="see that it is there and may be read; what is made is kept",
    ),
    problem(
        "join",
        "2 keys of the source customers (id) stand in more than one row, for example rows 4, 9; a"
        " many_to_one join allows one",
        ("data", "join", "customers", "cardinality"),
        "mend them, match by more columns, or state another cardinality",
    ),
    problem(
        "weight",
        "'fnlwgt' is negative in row 7 of the validated table",
        ("data", "columns", "fnlwgt", "role"),
        "mend it, or leave the role weight out",
    ),
    problem(
        "monotone",
        "'city' is a native category after preparation, which has no order",
        ("model", "monotone", "city"),
        "leave it out",
    ),
    problem(
        "calibration",
        "the rows to calibrate on hold one class only",
        ("model", "calibration"),
        "give more rows: data.split.validation_size",
    ),
    problem(
        "threshold",
        "no threshold reaches precision of 0.99 on the validation part; the most that one reaches"
        " is 0.9125",
        ("model", "threshold", "at_least"),
        "ask for less, or better the model",
    ),
    problem(
        "plugin",
        "the family 'mean' of the distribution our-models is no family",
        ("model", "family"),
        "mend or remove the package",
    ),
    problem(
        "blob",
        "the blob 3f2a9c01b7de is missing or its bytes are wrong",
        hint="run again: it is made anew (a wrong one is kept in quarantine/)",
    ),
    problem("tree", "3f2a9c01b7de is not a tree"),
    problem(
        "store",
        "the store /srv/state cannot be written: Permission denied",
        ("store", "uri"),
        "set store.uri to a directory that can be written",
    ),
    problem(
        "disk",
        "train cannot write its results: No space left on device",
        hint="make room, or set store.uri to another disk; what is stored stays whole",
    ),
    problem(
        "no-source",
        "nothing of a source 'rows.cvs' is in the store",
        hint="give its location as the config has it, or its digest as the lock has it",
    ),
    problem(
        "root",
        "there is no git ref 'v1' here",
        hint="`git for-each-ref` lists those that there are",
    ),
    problem("output", "plan.lock.json cannot be written: Permission denied"),
    problem(
        "operand",
        "git:main: there is no commit 'main'",
        hint="`git log --all` lists the commits that there are",
    ),
    problem(
        "registry",
        "there is no version adult:9",
        hint="aliases of adult: champion",
    ),
    problem(
        "promotion",
        "roc_auc of adult:4 is 0.9077, of adult:1 0.9263 on the same 6,512 test rows"
        " (-0.0224 to -0.01517): it is worse",
        hint="--force REASON promotes it all the same, and the history keeps why",
    ),
    problem("no-run", "outputs is not a run directory: it has no record.json"),
    problem(
        "no-model",
        "there is no bundle of 'shop:3' here",
        hint="give a run directory, or the `bundle` or `model` digest that `run --json` prints",
    ),
    problem(
        "no-environment",
        "no environment with the bundle's requirements can be made: pip says: No matching"
        " distribution found for click==8.5.1",
        hint="it installs requirements.txt from the package index that is configured: is that"
        " reached?",
    ),
    problem(
        "unproved",
        "row 17 of the validated table in a batch is answered [0.75, 0.25], and [0.25, 0.75] is"
        " right",
        hint="do not serve this bundle here",
    ),
    problem(
        "git",
        "/srv/shop is in no git repository",
        hint="make one with `git init`, and call this again",
    ),
    problem(
        "record",
        "record.json is broken: `metrics` is an object",
        hint="run again to write a whole one",
    ),
)


def generate() -> str:
    """The whole document."""
    mistakes = tuple(catalogue())
    parts = [_HEAD]
    for code in CODES.values():
        if title := _GROUPS.get(code.number):
            parts.append(f"## {title}\n")
        parts.append(_section(code, mistakes))
    return "\n".join(parts)


def _section(code: Code, mistakes: tuple[Mistake, ...]) -> str:
    text = f"### {code} {code.name}\n\n{code.text}\n"
    example = _example(code, mistakes) or "".join(
        _said(item) for item in EXAMPLES if item.code == code.name
    )
    return f"{text}\n```text\n{example}\n```\n" if example else text


def _said(example: Problem) -> str:
    """A problem as the command line prints it."""
    text = io.StringIO()
    say_problems([example], text, "note" if example.code == "older-config" else "error")
    return text.getvalue().rstrip()


def _example(code: Code, mistakes: tuple[Mistake, ...]) -> str:
    """The first answer that is this problem alone, with its command line if that is the mistake."""
    for mistake in mistakes:
        problems = re.findall(r"^(?:error|note)\[(MC\d+)\]", mistake.says, re.M)
        if problems == [str(code)]:
            command = mistake.console.partition("\n")[0]
            alone = command == "$ mlops-compile compile"
            return mistake.says.rstrip() if alone else f"{command}\n{mistake.says.rstrip()}"
    return ""


if __name__ == "__main__":
    FILE.write_text(generate(), "utf-8")
