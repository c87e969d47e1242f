"""Writes docs/errors.md: every code of problems, with an example; `nox -s errors` runs it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from mlops_compile.ir.codes import CODES, Code
from tests.catalogue import Mistake, catalogue

FILE = ROOT / "docs" / "errors.md"
_HEAD = """\
<!-- Written by `nox -s errors`, from mlops_compile/ir/codes.py and tests/mistakes/. -->
# Errors

Every problem has a code, which stays the same from version to version, a place where there is one,
and a line that says what to do. All that can be seen at once is said at once, files first, then
overrides. `mlops-compile explain MC0012` prints what a code means; `--json` gives problems as
`{"format": 1, "problems": [{"code", "name", "key", "message", "help", "origin"}]}`. The exit code
is 2 for the command line, 3 for configs and data, 4 for a lock that is not current, 5 for a step
that failed, 6 for a gate that was not met, 7 for the store; a traceback is shown with `--debug`
only.

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
EXAMPLES = {
    "older-config": """\
note[MC0021]: data.src: is called data.source since format 2
 --> conf/data/shop.yaml:5:1
  |
5 | src:
  | ^^^
  = help: rename it, and set format: 2 when all is renamed""",
}
"""Examples of what no mistake of the catalogue shows."""


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
    example = EXAMPLES.get(code.name) or _example(code, mistakes)
    return f"{text}\n```text\n{example}\n```\n" if example else text


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
