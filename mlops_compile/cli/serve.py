"""`serve`: run a bundle's service here."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from mlops_compile.api.models import bundle_to_serve
from mlops_compile.api.state import state_with
from mlops_compile.cli.verb import Call, Verb


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument("model", help="a run directory, or a digest of a model or bundle")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
    parser.add_argument("overrides", nargs="*", help="for example store.uri=DIR")


def run(call: Call) -> int:
    """Become the service: this process is replaced, so that signals reach it."""
    options = call.options
    state = state_with(options.overrides, Path())
    directory = bundle_to_serve(options.model, state)
    print(f"serving {directory} on http://{options.host}:{options.port}", file=call.err, flush=True)
    os.chdir(directory)
    command = [sys.executable, "app.py", "--host", options.host, "--port", str(options.port)]
    os.execv(sys.executable, command)


VERB = Verb(
    name="serve",
    summary="Run a bundle's service.",
    arguments=arguments,
    run=run,
    composes=False,
)
