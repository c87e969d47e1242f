"""`explain`: what a code of problems means."""

from __future__ import annotations

import textwrap

from mlops_compile.cli.verb import Call
from mlops_compile.ir.codes import CODES
from mlops_compile.ir.problem import UsageError, problem


def run(call: Call) -> int:
    """Print the meaning of one code."""
    wanted = str(call.options.code)
    for code in CODES.values():
        if wanted.lower() in (str(code).lower(), str(code.number), code.name):
            print(f"{code} {code.name}\n\n{textwrap.fill(code.text, 80)}", file=call.out)
            return 0
    hint = f"codes are {min(map(str, CODES.values()))} to {max(map(str, CODES.values()))}"
    raise UsageError([problem("usage", f"there is no code {wanted!r}", hint=hint)])
