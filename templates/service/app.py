"""The service: `python app.py --help`, or `app:app` for any ASGI server."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

# Bytecode beside the bundle's files would change the bundle, which is named by its digest.
sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import bundle  # noqa: E402

# Nothing else of a bundle is run before it is known to be whole: imports stand below that.


def main() -> int:
    """Serve until a signal comes; the exit code."""
    words = sys.argv[1:]
    try:
        if words[:1] == ["--worker"]:
            return _worker(*words[1:])
        own = bundle.read(HERE)
    except bundle.Corrupt as error:
        return _refused(error, 1)
    from settings import Unusable, settings, variables

    os.environ.update(variables(words, os.environ, __doc__))
    try:
        found = settings(os.environ)
        place = Path(found.bundle or HERE).resolve()
        if found.workers:
            return _parent(own if place == HERE else bundle.of_service(place), found)
        if place != HERE:
            bundle.of_service(place)
            del os.environ["MLOPS_BUNDLE"]  # the other flags are in the environment too
            os.execv(sys.executable, [sys.executable, str(place / "app.py")])
        from service import Service
        from worker import listen, serve

        service = Service(own, found)
        listening = listen(found.host, found.port)
        _say(own, found)
        return asyncio.run(serve(service, listening, None))
    except bundle.Corrupt as error:
        return _refused(error, 1)
    except Unusable as error:
        return _refused(error, 2)


def _parent(first: bundle.Bundle, found: object) -> int:
    from parent import Parent
    from worker import listen

    listening = listen(found.host, found.port)
    _say(first, found)
    return asyncio.run(Parent(first, found, listening).run())


def _say(served: bundle.Bundle, found: object) -> None:
    """What is served, and where."""
    host = f"[{found.host}]" if ":" in found.host else found.host
    name, model = served.facts["name"], served.facts["model"][:12]
    told = f"{name!r}, model {model}, is served on http://{host}:{found.port}"
    print(told, file=sys.stderr, flush=True)


def _worker(listening: str, control: str, shared: str) -> int:
    """Answer for a parent, which gives the numbers of its sockets and where to count."""
    own = bundle.read(HERE)
    from service import Service
    from settings import Unusable, settings
    from worker import Listening, serve

    try:
        service = Service(own, settings(os.environ), Path(shared))
    except Unusable as error:
        return _refused(error, 2)
    line = socket.socket(fileno=int(control))
    return asyncio.run(serve(service, Listening(fileno=int(listening)), line))


def _refused(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return code


async def app(scope: dict, receive: object, send: object) -> None:
    """The ASGI application, for servers of one's own; settings come from the environment."""
    global _service
    if _service is None:
        from service import Service
        from settings import settings

        _service = Service(bundle.read(HERE), settings(os.environ))
    await _service(scope, receive, send)


_service = None


if __name__ == "__main__":
    sys.exit(main())
