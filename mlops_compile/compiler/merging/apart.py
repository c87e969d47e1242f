"""Why two changes may not be independent: a step reads both, or one may follow from the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops_compile.compiler.merging.sides import Changes, Side, refusal
from mlops_compile.ir.problem import Problem
from mlops_compile.ir.three_way import Held
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted, same

# What is filled in by other values where it is not stated: by those at or below a path, those at or
# below another.
FOLLOWS: tuple[tuple[KeyPath, KeyPath], ...] = (
    (("model", "family"), ("prepare", "numeric")),
    (("model", "family"), ("prepare", "boolean")),
    (("model", "family"), ("prepare", "categorical")),
    (("model", "family"), ("prepare", "datetime")),
    (("data", "task"), ("evaluate",)),
    (("evaluate", "metrics"), ("evaluate", "primary")),
    (("data", "split"), ("search", "cv")),
)
_SHOWN = 3


def overlaps(base: Side, ours: Side, theirs: Side) -> Iterator[Problem]:
    """The groups of keys of which a step reads what both sides change: the two may have been
    written as one option of the group, or in place of it."""
    steps: dict[str, list[str]] = {}
    for step, group in sorted(ours.touched(base) & theirs.touched(base)):
        steps.setdefault(group, []).append(step)
    one, two = ours.changes(base), theirs.changes(base)
    for group, names in steps.items():
        message = (
            f"{_listed(names)} read{'s' if len(names) == 1 else ''} what both change:"
            f" {_of(one, group)} in ours, {_of(two, group)} in theirs"
        )
        yield refusal(message, (group,))


def _of(changes: Changes, group: str) -> str:
    return _listed([dotted(path) for path in changes if path[0] == group])


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def follows(base: Side, ours: Side, theirs: Side) -> Iterator[Problem]:
    """Values that one side changes, and that may follow from what the other does."""
    for one, other in ((ours, theirs), (theirs, ours)):
        leading, following = one.changes(base), other.changes(base)
        for path, follower in FOLLOWS:
            found = [at for at in following if at[: len(follower)] == follower]
            if found and any(at[: len(path)] == path for at in leading):
                message = (
                    f"changes in {other.name}; where it is not stated it follows from"
                    f" {dotted(path)}, which changes in {one.name}"
                )
                yield refusal(message, found[0])
        for at, (_, now) in following.items():
            for source, (was, _) in leading.items():
                if at != source and _may_refer(now, was):
                    message = (
                        f"is in {other.name} what {dotted(source)} was, which changes in"
                        f" {one.name}: if it is a reference, it changes too"
                    )
                    yield refusal(message, at)


def _may_refer(now: Held, was: Held) -> bool:
    """Whether a value may be a reference (`${...}`) to another: it is that, or a text that holds it
    as a word. True, false and null tell nothing."""
    if not now or not was or isinstance(was[0], bool | None | Map) or was[0] in ("", ()):
        return False
    if same(now, was):
        return True
    if not isinstance(now[0], str | tuple) or isinstance(was[0], tuple):
        return False
    word = re.escape(_text(was[0]))
    return re.search(rf"(?<![\w.]){word}(?![\w.])", _text(now[0])) is not None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else canonical(value).decode("utf-8")
