"""`report`: one page of a run or sweep."""

from __future__ import annotations

from mlops_compile.api.reporting import report
from mlops_compile.cli.show import size
from mlops_compile.cli.verb import Call


def run(call: Call) -> int:
    """Write the page, whole or not at all."""
    options = call.options
    text = report(options.run, options.file)
    print(f"{options.file} written, {size(len(text.encode('utf-8')))}", file=call.out)
    return 0
