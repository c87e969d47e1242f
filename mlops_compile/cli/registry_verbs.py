"""What the actions of `registry` take."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping

CHAMPION = "champion"


def _most(parser: ArgumentParser) -> None:
    parser.add_argument("--most", type=int, metavar="N", default=None, help="so many at most")


def _list(parser: ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="of this name alone")
    _most(parser)


def _show(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="NAME, NAME:NUMBER or NAME@ALIAS")


def _history(parser: ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="of this name alone")
    _most(parser)


def _promote(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="NAME:NUMBER")
    parser.add_argument(
        "alias", metavar="ALIAS", nargs="?", default=CHAMPION, help=f"{CHAMPION} unless given"
    )
    parser.add_argument(
        "--force", metavar="REASON", help="whatever the comparison says; the history keeps why"
    )


def _rollback(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "alias", metavar="ALIAS", nargs="?", default=CHAMPION, help=f"{CHAMPION} unless given"
    )
    parser.add_argument("--reason", metavar="REASON", help="why; the history keeps it")


ACTIONS: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "list": ("The versions there are, the newest first.", _list),
    "show": ("What a version is, from its data to its service.", _show),
    "history": ("What happened to versions and aliases, the newest first.", _history),
    "promote": ("Let an alias mean a version, unless the one it means is better.", _promote),
    "rollback": ("Let an alias mean what it meant before.", _rollback),
}


def declare(parser: ArgumentParser) -> None:
    """The options of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, arguments) in ACTIONS.items():
        own = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        arguments(own)
        own.add_argument("--json", action="store_true", help="print one JSON document")
        own.add_argument("overrides", nargs="*", default=[], help="for example registry.uri=URI")
