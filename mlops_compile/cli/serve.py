"""`serve`: run a bundle's service here."""

from __future__ import annotations

import os
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from mlops_compile.cli.verb import Call, Verb
from mlops_compile.ir.problem import UsageError, problem


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument("model", help="a run directory, or a digest of a model or bundle")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (8000)")
    parser.add_argument("overrides", nargs="*", help="for example store.uri=DIR")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _check_free(host: str, port: int) -> None:
    """Say that an address cannot be listened on before anything says that it is served."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        message = f"{host}:{port} cannot be listened on: {error.strerror or error}"
        raise UsageError([problem("usage", message, hint="take another --port")]) from None


def run(call: Call) -> int:
    """Become the service: this process is replaced, so that signals reach it."""
    # These import Hydra, and shells list the options of `serve`.
    from mlops_compile.api.models import bundle_to_serve
    from mlops_compile.api.state import state_with

    options = call.options
    _check_free(options.host, options.port)
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
)
