"""The verbs: what each takes, apart from the code that does it.

A shell that asks for options waits for neither Hydra nor pandas.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mlops_compile.cli import registry_verbs, store_verbs
from mlops_compile.cli.verb import Verb
from mlops_compile.ir.config import LOCK_FILE

_MODEL = "a version (NAME, NAME:NUMBER, NAME@ALIAS), a run directory or a digest"


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ArgumentTypeError(f"an option is NAME=VALUE, not {text!r}")
    return name.strip(), value


def _init(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the new project")
    parser.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="a file, a folder or a pattern of Parquet files, a URI of these; with --query, the"
        " URI of a database",
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what is to be predicted")
    parser.add_argument(
        "--columns",
        default="",
        metavar="a,b,c",
        help="names of the columns of a file without a header",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column to leave out of Parquet or JSON lines; may be given again",
    )
    parser.add_argument(
        "--option",
        dest="options",
        action="append",
        type=_option,
        default=[],
        metavar="NAME=VALUE",
        help="how the data is written (docs/data.md): decimal=, or missing=-1; may be given again",
    )
    parser.add_argument("--query", metavar="SELECT", help="the rows of the database to take")


def _config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--origins", action="store_true", help="the place that set each value, and what it replaced"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _compile(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o", dest="file", type=Path, default=Path(LOCK_FILE), help="the lock to write"
    )
    parser.add_argument(
        "--locked", action="store_true", help="write nothing; exit 4 if the lock is stale"
    )
    parser.add_argument("--refresh", action="store_true", help="look at every source again")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--emit",
        choices=("config", "spec", "plan", "lock"),
        help="print that value and write nothing",
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ArgumentTypeError(f"a whole number from 1 is needed, not {text!r}")
    return int(text)


def _run(parser: ArgumentParser) -> None:
    parser.add_argument("--plan", type=Path, metavar="FILE", help="execute exactly that lock")
    parser.add_argument(
        "--locked", action="store_true", help=f"{LOCK_FILE} must be current, else exit 4"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument(
        "--fail-fast", action="store_true", help="begin nothing more once a step or a trial failed"
    )
    parser.add_argument(
        "-j",
        dest="jobs",
        type=_count,
        metavar="N",
        help="steps side by side (execution.workers; else one a core)",
    )


def _bundle(parser: ArgumentParser) -> None:
    parser.add_argument("model", help=_MODEL)
    parser.add_argument(
        "-o", dest="directory", type=Path, required=True, help="an empty or new directory"
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="first replay the held-out rows through it, in a new environment that has its"
        " requirements alone; the statement goes beside it, as DIR.proof.json",
    )
    parser.add_argument("overrides", nargs="*", default=[], help="for example store.uri=DIR")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _serve(parser: ArgumentParser) -> None:
    parser.add_argument("model", help=_MODEL)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (8000)")
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="processes below one that replaces them"
    )
    parser.add_argument(
        "--log", type=Path, metavar="DIR", help="keep predictions and feedback there"
    )
    parser.add_argument(
        "--bundles", type=Path, metavar="DIR", help="bundles that /admin/swap may serve"
    )
    parser.add_argument("overrides", nargs="*", default=[], help="for example store.uri=DIR")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time, as 2026-11-26T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _monitor(parser: ArgumentParser) -> None:
    parser.add_argument("model", help=_MODEL)
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="look from then on (else one monitor.window)"
    )
    parser.add_argument(
        "--until",
        type=_moment,
        metavar="TIME",
        help="look up to then (else now); UTC unless it has a zone",
    )
    parser.add_argument("--log", metavar="DIR", help="the service's log (monitor.log)")
    parser.add_argument(
        "--format", choices=("text", "markdown", "json"), default="text", help="what to print"
    )
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", help="as --format json"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page for a browser besides"
    )
    parser.add_argument("overrides", nargs="*", default=[], help="for example monitor.window=1d")


def _feedback(parser: ArgumentParser) -> None:
    parser.add_argument("model", help=_MODEL)
    parser.add_argument("file", type=Path, metavar="FILE", help="a csv, parquet or jsonl file")
    parser.add_argument("--id", default="id", metavar="COLUMN", help="ids of predictions (id)")
    parser.add_argument("--truth", default="truth", metavar="COLUMN", help="what is true (truth)")
    parser.add_argument("--time", metavar="COLUMN", help="when that was known (else now)")
    parser.add_argument("--log", metavar="DIR", help="the service's log (monitor.log)")
    parser.add_argument("overrides", nargs="*", default=[], help="for example monitor.log=DIR")


def _improve(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="the name of a model that has a champion")
    parser.add_argument("--log", metavar="DIR", help="the service's log (monitor.log)")
    parser.add_argument(
        "--until", type=_moment, metavar="TIME", help="as if it were then; UTC unless it has a zone"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("overrides", nargs="*", default=[], help="for example improve=promote")


def _report(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a directory of outputs/ or of multirun/"
    )
    parser.add_argument(
        "-o", dest="file", type=Path, required=True, metavar="FILE", help="the page to write"
    )


def _diff(parser: ArgumentParser) -> None:
    parser.add_argument(
        "old",
        nargs="?",
        metavar="OLD",
        help="a lock file, a run directory, git:REV[:PATH] or conf:OVERRIDES; else git:HEAD",
    )
    parser.add_argument("new", nargs="?", metavar="NEW", help="the same; else conf:")
    parser.add_argument(
        "--format", choices=("text", "markdown", "html", "json"), default="text", help="(text)"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="exit 4 where more than what is cosmetic differs"
    )
    parser.add_argument(
        "--assume-made",
        action="store_true",
        help="effects where OLD was run, whatever the store here holds",
    )
    parser.add_argument("-o", dest="file", type=Path, metavar="FILE", help="the file to write")
    parser.epilog = "A number behind a sweep names one point of it: multirun/DATE/TIME#3."


def _diff_driver(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="ARG", help="as git gives them")


def _merge_driver(parser: ArgumentParser) -> None:
    names = ("BASE", "OURS", "THEIRS", "PATH")
    parser.add_argument("files", nargs=4, metavar=names, help="as git gives them: %%O %%A %%B %%P")


# What `git` does, with what each takes.
_DRIVERS: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "install": ("Set up the drivers of locks in this clone.", lambda parser: None),
    "diff-driver": ("What git calls to show what changes in a lock.", _diff_driver),
    "merge-driver": ("What git calls to merge two changes of a lock.", _merge_driver),
}


def _git(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, declare) in _DRIVERS.items():
        declare(actions.add_parser(name, help=summary, description=summary, allow_abbrev=False))


def _schema(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--group", metavar="NAME", help="of the files of one group, not of the whole"
    )
    parser.add_argument(
        "-o", dest="directory", type=Path, metavar="DIR", help="write them all into a directory"
    )


def _explain(parser: ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="for example MC0012, 12 or unknown-key")


def _codes() -> Sequence[str]:
    from mlops_compile.ir.codes import CODES  # for a shell only

    return tuple(map(str, CODES.values()))


def _groups() -> Sequence[str]:
    from mlops_compile.compiler.json_schema import schema_names  # for a shell only

    return schema_names()


# A verb's module is imported when it is called.
VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(name="init", summary="Make a new project around data.", arguments=_init),
        Verb(name="config", summary="Print the composed config.", arguments=_config, composes=True),
        Verb(
            name="compile",
            summary="Compile the config to a lock, and say what running it would do.",
            arguments=_compile,
            composes=True,
        ),
        Verb(
            name="run",
            summary="Compile the config and execute the plan.",
            arguments=_run,
            composes=True,
        ),
        Verb(name="bundle", summary="Write the serving bundle of a model.", arguments=_bundle),
        Verb(name="serve", summary="Run a bundle's service.", arguments=_serve),
        Verb(
            name="report",
            summary="Write one page of a run or sweep, to be read in a browser.",
            arguments=_report,
        ),
        Verb(
            name="monitor",
            summary="Compare a service's log and feedback with its model's reference.",
            arguments=_monitor,
        ),
        Verb(
            name="feedback",
            summary="Put what turned out to be true, from a file, into a service's log.",
            arguments=_feedback,
        ),
        Verb(
            name="improve",
            summary="Make the next version from a service's log and feedback, if it is better.",
            arguments=_improve,
        ),
        Verb(name="diff", summary="Say what changes between two plans, and why.", arguments=_diff),
        Verb(
            name="store", summary="Look after the store of results.", arguments=store_verbs.declare
        ),
        Verb(
            name="registry",
            summary="Versions of models, what their aliases mean, and what happened.",
            arguments=registry_verbs.declare,
        ),
        Verb(name="git", summary="Show and merge locks in git.", arguments=_git),
        Verb(
            name="schema",
            summary="JSON Schema of the config, for editors.",
            arguments=_schema,
            values={"group": _groups},
        ),
        Verb(
            name="explain",
            summary="What a code of problems means.",
            arguments=_explain,
            values={"code": _codes},
        ),
    )
}
