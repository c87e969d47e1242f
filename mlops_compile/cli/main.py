"""Entry of the command line: picks the verb, says what is wrong, gives the exit code."""

from __future__ import annotations

import contextlib
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from mlops_compile.cli.problems import problems_document, say_problems
from mlops_compile.cli.verb import Call, Verb
from mlops_compile.cli.verbs import VERBS
from mlops_compile.ir.problem import ProblemsError, UsageError, problem

_INTERRUPTED = 130

USAGE = """\
usage: mlops-compile VERB [options] [hydra flags and overrides]

  init DIR --data DATA --target COLUMN   a new project around data
  config                                 the composed config; --origins: what set each value
  compile                                config to plan.lock.json, and what would run
  run                                    compile and execute, into outputs/DATE/TIME/
  diff [OLD] [NEW]                       what changes between two plans, why, what it costs
  bundle MODEL -o DIR                    write the serving bundle of a run or digest
  serve MODEL                            run that bundle's service on 127.0.0.1
  report RUN -o page.html                one page of a run or sweep, for a browser
  registry list|show|promote|rollback|...  versions of models, and which is served
  monitor MODEL                          what its service was asked, beside its reference
  feedback MODEL FILE                    what turned out to be true, from a file
  improve NAME                           the next version, from the log and feedback
  store du|fsck|gc|pin|unpin|forget      look after the store of results
  git install                            git shows and merges locks by what they mean
  schema                                 JSON Schema of the config, for editors
  explain CODE                           what a code of problems (MC0012) means

  mlops-compile VERB --help              a verb's options
  mlops-compile -sc install=bash         completion for bash, or zsh (eval what it prints)
  overrides are Hydra's: model=ridge data=diabetes model.params.alpha=0.5
"""


class _Parser(ArgumentParser):
    """An argument parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        hint = f"see `{self.prog} --help`"
        raise UsageError([problem("usage", message, hint=hint)])


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command line (docs/cli.md)."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except ProblemsError as error:
        if debug:
            traceback.print_exc()
        say_problems(error.problems, sys.stderr)
        if "--json" in words:
            with contextlib.suppress(BrokenPipeError, ProblemsError):  # told already, or to nobody
                print(problems_document(error.problems), end="", flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        kept = "; what is made is kept, and the same command goes on from there"
        print(f"\ninterrupted{kept if words[:1] == ['run'] else ''}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return _INTERRUPTED
    except Exception as error:  # a bug: say so in a line, with the way to the traceback
        if debug:
            traceback.print_exc()
        else:
            hint = "this is a bug in mlops_compile; --debug shows where"
            found = problem("bug", f"{type(error).__name__}: {error}", hint=hint)
            say_problems([found], sys.stderr)
        return 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else UsageError.exit_code
    if words[0] == "--version":
        print(_version())
        return 0
    name, rest = words[0], words[1:]
    if name not in VERBS:
        from mlops_compile.compiler.suggest import suggest

        hint = suggest(name, tuple(VERBS), "verbs")
        if verb_behind := next((word for word in rest if word in VERBS), None):
            others = " ".join(word for word in words if word != verb_behind)
            hint = f"the verb comes first: mlops-compile {verb_behind} {others}"
        raise UsageError([problem("usage", f"there is no verb {name!r}", hint=hint)])
    verb = VERBS[name]
    options, left = _parse(verb, rest)
    code: int = import_module(f"mlops_compile.cli.{name}").run(
        Call(options=options, rest=left, out=sys.stdout, err=sys.stderr)
    )
    return code


def _version() -> str:
    from mlops_compile import __version__

    return f"mlops-compile {__version__}"


def _parse(verb: Verb, words: list[str]) -> tuple[Namespace, tuple[str, ...]]:
    """A verb's own options, and the words that are left for Hydra, in order."""
    parser = _Parser(
        prog=f"mlops-compile {verb.name}",
        description=verb.summary,
        allow_abbrev=False,
        add_help=not verb.composes,
        epilog="Hydra's flags (--hydra-help) and overrides may follow; its own help is below."
        if verb.composes
        else None,
    )
    verb.arguments(parser)
    options, left = parser.parse_known_args(words)
    if verb.composes and ("--help" in left or "-h" in left):
        parser.print_help(sys.stdout)
        print("\n", end="")
    if verb.composes and "--version" in left:
        print(_version())  # Hydra adds its own
    if "overrides" in options:  # argparse does not look for these behind an option any more
        options.overrides += [word for word in left if not word.startswith("-")]
        left = [word for word in left if word.startswith("-")]
    if left and not verb.composes:
        word = next((word for word in left if word.startswith("-")), left[0])
        what = f"has no option {word}" if word.startswith("-") else f"does not take {word!r}"
        called = " ".join((verb.name, *filter(None, [getattr(options, "action", "")])))
        hint = f"see `mlops-compile {called} --help`"
        raise UsageError([problem("usage", f"{called} {what}", hint=hint)])
    return options, tuple(left)
