"""What the actions of `registry` take."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops_compile.ir.version import CHAMPION


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


def _compare(parser: ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="NAME:NUMBER or NAME@ALIAS")
    parser.add_argument("new", metavar="NEW", help="NAME:NUMBER or NAME@ALIAS")


def _archive(parser: ArgumentParser) -> None:
    parser.add_argument(
        "version",
        metavar="VERSION",
        help="NAME:NUMBER; with --keep, a NAME of which all older ones are archived",
    )
    parser.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="the newest N stay, those that an alias means, and those whose plan is pinned",
    )


def _restore(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="NAME:NUMBER")


def _export(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="NAME, NAME:NUMBER or NAME@ALIAS")
    parser.add_argument(
        "-o", dest="file", type=Path, required=True, metavar="FILE", help="a new file"
    )


def _import(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="that `export` wrote")


ACTIONS: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "list": ("The versions there are, the newest first.", _list),
    "show": ("What a version is, from its data to its service.", _show),
    "history": ("What happened to versions and aliases, the newest first.", _history),
    "promote": ("Let an alias mean a version, unless the one it means is better.", _promote),
    "rollback": ("Let an alias mean what it meant before.", _rollback),
    "compare": ("What differs between two versions: plan, metrics, answers.", _compare),
    "archive": ("Put a version into a file, so that gc may take its results.", _archive),
    "restore": ("Bring an archived version back.", _restore),
    "export": ("Write a version into one file, with all that reruns and serves it.", _export),
    "import": ("Bring the version of such a file into this registry.", _import),
}


def declare(parser: ArgumentParser) -> None:
    """The options of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, arguments) in ACTIONS.items():
        own = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        arguments(own)
        own.add_argument("--json", action="store_true", help="print one JSON document")
        own.add_argument("overrides", nargs="*", default=[], help="for example registry.uri=URI")
