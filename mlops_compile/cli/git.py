"""`git`: sets up the drivers of locks in a clone, and is what git then calls."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mlops_compile.api.diffing import diff
from mlops_compile.api.drivers import (
    ATTRIBUTES,
    Setting,
    install,
    lacks_attributes,
)
from mlops_compile.api.locks import lock_of
from mlops_compile.api.merging import merge_texts, of_sweep
from mlops_compile.cli.problems import say_problems
from mlops_compile.cli.review_text import say_review
from mlops_compile.cli.show import visible
from mlops_compile.cli.verb import Call
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, ProblemsError
from mlops_compile.ir.review import Review
from mlops_compile.present.words import counted

_NOTHING = "/dev/null"


def run(call: Call) -> int:
    """Do what is asked."""
    match call.options.action:
        case "install":
            return _install(call)
        case "merge-driver":
            return _merge(call)
        case _:
            return _diff(call)


def _install(call: Call) -> int:
    print(installed(install(Path())), file=call.out)
    if lacks_attributes(Path()):
        print("git calls them for files that .gitattributes names; add to it:", file=call.out)
        print(f"  {LOCK_FILE} {ATTRIBUTES}", file=call.out)
    return 0


def installed(settings: Iterable[Setting]) -> str:
    """What was set, in words."""
    return "\n".join(visible(f"{item.key}: {_done(item)}") for item in settings)


def _done(setting: Setting) -> str:
    if setting.before is None:
        return "set"
    return "as it was" if setting.before == setting.value else "set anew"


def _merge(call: Call) -> int:
    """Write the merged lock over ours; 1 leaves ours as it is, and the file in conflict."""
    base, ours, theirs, path = call.options.files
    try:
        text = merge_texts(*(_text(file) for file in (base, ours, theirs)))
    except CompileError as error:
        say_problems(error.problems, call.err, "conflict")
        print(_recompile(path, of_sweep(_text(ours))), file=call.err)
        return 1
    Path(ours).write_text(text, "utf-8", newline="\n")
    return 0


def _recompile(path: str, sweep: bool) -> str:
    """What to do about a lock in conflict."""
    place, name = PurePosixPath(path).parent, PurePosixPath(path).name
    where = f"in {shlex.quote(str(place))}" if place.parts else "in the top directory"
    words = ["mlops-compile compile"]
    words += [] if name == LOCK_FILE else ["-o", shlex.quote(name)]
    words += ["-m OVERRIDES"] if sweep else []
    return visible(
        f"{path} is left as ours: merge conf/, then {where} `{' '.join(words)}`"
        f" and `git add {shlex.quote(name)}`"
    )


def _diff(call: Call) -> int:
    """Print what changes between two versions of a lock. Always 0: git ends at anything else.

    Git gives the path, then file, hash and mode of the old version and of the new one, and of a
    file with another name this name; of a file in conflict the path alone.
    """
    path, *rest = call.options.files
    if not rest:
        print(visible(f"{path} is in conflict"), file=call.out)
        return 0
    old, new = rest[0], rest[3]
    print(visible(f"{path} -> {rest[6]}" if len(rest) > 6 else path), file=call.out)
    try:
        if _NOTHING in (old, new):
            print(_whole(old, new), file=call.out)
        else:
            review = diff(old, new, project=Path(path).parent)
            say_review(_named(review, _revision(rest[1]), _revision(rest[4])), call.out)
    except ProblemsError as error:
        print(visible(f"shown as text: {error.problems[0].message}"), file=call.out)
        print("".join(map(visible, _lines(old, new, path))), end="", file=call.out)
    return 0


def _whole(old: str, new: str) -> str:
    """A lock that is there on one side only, in a line. CompileError where it cannot be read."""
    text = _text(old) + _text(new)
    steps = counted(len(lock_of(text, "the lock").plan.steps), "step")
    digest = digest_of(text.encode()).sha256[:12]
    return f"{'added' if old == _NOTHING else 'removed'}: plan {digest}, {steps}"


def _revision(hashed: str) -> str:
    """What a version is, by the hash that git gives: zeros are those of a file as it is here."""
    return f"blob {hashed[:7]}" if hashed.strip("0") else "the file here"


def _named(review: Review, *names: str) -> Review:
    """A review of two files that git wrote out, by what they are of."""
    notes = review.notes
    for one, name in zip((review.old, review.new), names, strict=True):
        notes = tuple(note.replace(one.name, name) for note in notes)
    old, new = (
        replace(one, name=name, what=name)
        for one, name in zip((review.old, review.new), names, strict=True)
    )
    return replace(review, old=old, new=new, notes=notes)


def _lines(old: str, new: str, path: str) -> Iterator[str]:
    """The lines of a unified diff."""
    before, after = (_text(file).splitlines(keepends=True) for file in (old, new))
    return difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")


def _text(file: str) -> str:
    """The text of a version that git has written out; it is empty where there is none."""
    return "" if file == _NOTHING else Path(file).read_text("utf-8", errors="replace")
