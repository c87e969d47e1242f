"""`schema`: JSON Schema of the config, for editors."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from mlops_compile.api.schemas import schema_text, write_schemas
from mlops_compile.cli.verb import Call, Verb
from mlops_compile.compiler.json_schema import WHOLE, schema_names
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import UsageError, problem


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument(
        "--group", metavar="NAME", default=WHOLE, help="of the files of one group, not of the whole"
    )
    parser.add_argument(
        "-o", dest="directory", type=Path, metavar="DIR", help="write them all into a directory"
    )


def run(call: Call) -> int:
    """Print one schema, or write all of them."""
    options = call.options
    if options.group not in schema_names():
        hint = suggest(options.group, schema_names())
        message = f"there is no group {options.group!r}"
        raise UsageError([problem("usage", message, hint=hint)])
    if options.directory is None:
        print(schema_text(options.group, Path()), end="", file=call.out)
        return 0
    files = write_schemas(options.directory, Path())
    print(f"wrote {len(files)} files into {options.directory}", file=call.out)
    return 0


VERB = Verb(
    name="schema",
    summary="JSON Schema of the config, for editors.",
    arguments=arguments,
    run=run,
    values={"group": schema_names},
)
