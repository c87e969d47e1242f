"""`serve`: run a bundle's service here."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from mlops_compile.api.models import bundle_to_serve
from mlops_compile.api.registering import place_with
from mlops_compile.cli.verb import Call
from mlops_compile.ir.problem import UsageError, problem


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
    options = call.options
    _check_free(options.host, options.port)
    place = place_with(options.overrides, Path())
    directory = bundle_to_serve(options.model, place)
    if not (directory / "app.py").is_file():
        message = f"the bundle of {options.model} is no service: deploy.target was another"
        hint = f"its README.md says how it is used: mlops-compile bundle {options.model} -o DIR"
        raise UsageError([problem("usage", message, hint=hint)])
    given = {
        "host": options.host,
        "port": options.port,
        "workers": options.workers,
        "log": options.log and os.path.abspath(options.log),
        "bundles": options.bundles and os.path.abspath(options.bundles),
    }
    flags = [f"--{name}={value}" for name, value in given.items() if value is not None]
    os.chdir(directory)
    os.execv(sys.executable, [sys.executable, "app.py", *flags])
