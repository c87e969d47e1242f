"""The verbs: what each takes, apart from the code that does it.

A shell that asks for options waits for neither Hydra nor pandas.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlops_compile.cli.verb import Verb
from mlops_compile.ir.config import LOCK_FILE


def _init(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the new project")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="a csv file")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what is to be predicted")
    parser.add_argument(
        "--columns",
        default="",
        metavar="a,b,c",
        help="names of the columns of a file without a header",
    )


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
        "-j",
        dest="jobs",
        type=_count,
        metavar="N",
        help="steps side by side (execution.workers; else one a core)",
    )


def _bundle(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="a run directory, or a digest of a model or bundle")
    parser.add_argument(
        "-o", dest="directory", type=Path, required=True, help="an empty or new directory"
    )
    parser.add_argument("overrides", nargs="*", default=[], help="for example store.uri=DIR")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _serve(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="a run directory, or a digest of a model or bundle")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (8000)")
    parser.add_argument("overrides", nargs="*", default=[], help="for example store.uri=DIR")


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
        Verb(name="init", summary="Make a new project around a data file.", arguments=_init),
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
