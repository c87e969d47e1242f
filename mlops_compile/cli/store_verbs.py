"""What the actions of `store` take."""

from __future__ import annotations

import math
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops_compile.ir.config import LOCK_FILE

_UNITS = {"": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B?", re.IGNORECASE | re.ASCII)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"a size is a number with K, M, G or T, as 500M, not {text!r}")
    unit = found[2].upper()
    return int(float(found[1]) * (1024 ** _UNITS[unit] if unit else 1))


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < math.inf:
        raise ArgumentTypeError(f"a number of days from 0 is needed, not {text!r}")
    return days


def _reason(text: str) -> str:
    if not text.strip():
        raise ArgumentTypeError("a reason is needed, which is kept on record")
    return text


def _gc(parser: ArgumentParser) -> None:
    _dry_run(parser)
    parser.add_argument(
        "--budget",
        type=_size,
        metavar="SIZE",
        help="remove only until blobs and records fit into that, the longest unused first (10G)",
    )
    parser.add_argument(
        "--older-than", type=_days, metavar="DAYS", help="keep what was used in the last DAYS"
    )
    parser.add_argument(
        "--ref",
        action="append",
        metavar="REF",
        help="keep what the lock at this git ref needs, in place of HEAD, branches and tags",
    )
    parser.add_argument(
        "--run",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="keep what this run directory holds the record of",
    )
    parser.add_argument(
        "--keep-runs", action="store_true", help="keep that of every run directory of the project"
    )


def _pin(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of letters, digits, `_`, `-` and `.`")
    parser.epilog = f"LOCKFILE may stand behind NAME; without it, {LOCK_FILE} is pinned."


def _unpin(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the pin to take away")


def _forget(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="WHAT", help="a source: its location, or 8 digits or more of its digest"
    )
    parser.add_argument(
        "--reason", type=_reason, required=True, metavar="TEXT", help="why, kept on record"
    )
    _dry_run(parser)


def _dry_run(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would go, change nothing")


def _fsck(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what is wrong, mend nothing")


# What `store` does, with what each takes.
_KEEPING: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "du": ("What takes the space, and what gc would free.", lambda parser: None),
    "fsck": ("Check every object, and mend what is wrong.", _fsck),
    "gc": ("Remove what no lock, version, pin or live run needs.", _gc),
    "pin": ("Keep what a lock needs, under a name.", _pin),
    "unpin": ("Take a pin away.", _unpin),
    "forget": ("Remove a source and all that was made of it.", _forget),
}


def declare(parser: ArgumentParser) -> None:
    """The options of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, declare) in _KEEPING.items():
        own = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        declare(own)
        own.add_argument("--json", action="store_true", help="print one JSON document")
        own.add_argument("overrides", nargs="*", default=[], help="for example store.uri=DIR")
