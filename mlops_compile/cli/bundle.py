"""`bundle`: write the serving bundle of a model."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.cli.verb import Call
from mlops_compile.ir.problem import UsageError, problem


def run(call: Call) -> int:
    """Write it, verified against its digests."""
    directory: Path = call.options.directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        message = f"{directory} is there and not empty"
        raise UsageError([problem("usage", message, hint="name a new directory with -o")])
    place = place_with(call.options.overrides, Path())
    digest = checkout_bundle(call.options.model, place, directory)
    files = sum(1 for path in directory.rglob("*") if path.is_file())
    print(f"bundle {digest[:12]}: {files} files in {directory}", file=call.out)
    return 0
