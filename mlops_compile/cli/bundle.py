"""`bundle`: write the serving bundle of a model."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.models import checkout_bundle
from mlops_compile.api.registering import place_with
from mlops_compile.cli.verb import Call
from mlops_compile.ir.problem import UsageError, problem
from mlops_compile.ir.value import pretty
from mlops_compile.store.files import write_atomic


def run(call: Call) -> int:
    """Write it, verified against its digests; with --prove, once it is proved, and the statement
    beside it."""
    directory: Path = call.options.directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        message = f"{directory} is there and not empty"
        raise UsageError([problem("usage", message, hint="name a new directory with -o")])
    place = place_with(call.options.overrides, Path())
    statement = None
    if call.options.prove:
        from mlops_compile.api.proving import prove_bundle  # reads tables, which takes a second

        statement = prove_bundle(call.options.model, place)
    digest = checkout_bundle(call.options.model, place, directory)
    files = sum(1 for path in directory.rglob("*") if path.is_file())
    print(f"bundle {digest[:12]}: {files} files in {directory}", file=call.out)
    if statement is not None:
        file = directory.with_name(f"{directory.name}.proof.json")
        write_atomic(file, pretty(statement).encode("utf-8"))
        print(f"proved on {statement['rows']} held-out rows: {file}", file=call.out)
    return 0
