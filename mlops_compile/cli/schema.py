"""`schema`: JSON Schema of the config, for editors."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.schemas import schema_text, write_schemas
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.json_schema import WHOLE, schema_names
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import UsageError, problem


def run(call: Call) -> int:
    """Print one schema, or write all of them."""
    options = call.options
    name = options.group or WHOLE
    if name not in schema_names():
        hint = suggest(name, schema_names())
        message = f"there is no group {name!r}"
        raise UsageError([problem("usage", message, hint=hint)])
    if options.directory is None:
        print(schema_text(name, Path()), end="", file=call.out)
        return 0
    files = write_schemas(options.directory, Path())
    print(f"wrote {len(files)} files into {options.directory}", file=call.out)
    return 0
