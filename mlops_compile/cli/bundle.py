"""`bundle`: write the serving bundle of a model."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from mlops_compile.cli.verb import Call, Verb
from mlops_compile.ir.problem import UsageError, problem


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument("model", help="a run directory, or a digest of a model or bundle")
    parser.add_argument(
        "-o", dest="directory", type=Path, required=True, help="an empty or new directory"
    )
    parser.add_argument("overrides", nargs="*", help="for example store.uri=DIR")


def run(call: Call) -> int:
    """Write it, verified against its digests."""
    # These import Hydra, and shells list the options of `bundle`.
    from mlops_compile.api.models import checkout_bundle
    from mlops_compile.api.state import state_with

    directory: Path = call.options.directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        message = f"{directory} is there and not empty"
        raise UsageError([problem("usage", message, hint="name a new directory with -o")])
    state = state_with(call.options.overrides, Path())
    digest = checkout_bundle(call.options.model, state, directory)
    files = sum(1 for path in directory.rglob("*") if path.is_file())
    print(f"bundle {digest[:12]}: {files} files in {directory}", file=call.out)
    return 0


VERB = Verb(
    name="bundle",
    summary="Write the serving bundle of a model.",
    arguments=arguments,
    run=run,
)
