"""Explains a step against the nearest earlier result: what of its causes differs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlops_compile.ir.lock import Lock
from mlops_compile.ir.plan import Step
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted, leaves, same

_MOST = 3
_WIDEST = 24
# What a preimage holds beside a step's own causes.
_NOT_OWN = ("level", "outputs", "kind", "inputs", "platform")
# The config is told first: distributions mostly come and go with it.
_RANKS = {"params": 0, "environment": 2}


class Earlier(Protocol):
    """An earlier result as the store keeps it: what its key was made of, and facts for people."""

    @property
    def preimage(self) -> Map: ...

    @property
    def about(self) -> Map: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A cause that differs: its path under the name that people know, and the words for it."""

    path: KeyPath
    text: str


def causes(
    lock: Lock, step: Step, preimage: Map, earlier: Sequence[Earlier], *, inputs: bool
) -> tuple[Change, ...]:
    """What differs from the nearest of the earlier results: the one with the fewest differences,
    the first of equals. `inputs`: the preimage is that of an action, whose inputs and platform are
    compared too. Nothing where there is no earlier result, or no difference."""
    found = [tuple(_changes(lock, step, preimage, item, inputs)) for item in earlier]
    return min(found, key=len, default=())


def explained(found: Sequence[Change]) -> list[str]:
    """The first few, and how many more there are."""
    more = len(found) - _MOST
    texts = [change.text for change in found[:_MOST]]
    return [*texts, f"and {more} more"] if more > 0 else texts


def _changes(
    lock: Lock, step: Step, preimage: Map, earlier: Earlier, inputs: bool
) -> Iterator[Change]:
    before, after = _own(earlier.preimage), _own(preimage)
    if "source" in preimage:
        yield from _data(lock, step, earlier)
    every = {**before, **after}
    for path in sorted(every, key=lambda path: (every[path].rank, path)):
        if path[0] != "source":
            text = _text(path, before.get(path), after.get(path))
            if text:
                yield Change(path=path, text=text)
    if inputs:
        yield from _inputs(step, preimage, earlier.preimage)


def _own(preimage: Map) -> dict[KeyPath, _Cause]:
    """Leaves of a preimage under the names that people know, without what is not the step's."""
    found: dict[KeyPath, _Cause] = {}
    for path, value in leaves(preimage):
        head = path[0]
        if head in _NOT_OWN:
            continue
        known = path[1:] if head in ("params", "environment") else path
        if known:
            shown = _plain(value) if head == "environment" else _shown(value)
            rank = _RANKS.get(head, 1)
            found[known] = _Cause(rank=rank, form=canonical(value), shown=shown)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """A value by its canonical form, and as people see it; the lower ranks are told first."""

    rank: int
    form: bytes
    shown: str


def _text(path: KeyPath, before: _Cause | None, after: _Cause | None) -> str:
    """`model.params.num_leaves 31 -> 63`; empty where nothing differs."""
    name = "version of the step kind" if path == ("version",) else dotted(path)
    if before is None or after is None:
        left = f"{name} {before.shown} left out" if before else ""
        return f"{name} {after.shown} added" if after else left
    if before.form == after.form:
        return ""
    if path[0] == "code":
        return f"code of {'.'.join(path[1:])} changed"
    return f"{name} {before.shown} -> {after.shown}"


def _data(lock: Lock, step: Step, earlier: Earlier) -> Iterator[Change]:
    """What of a source differs: rows, columns, types; else that its content does."""
    assert step.source is not None
    now, then = lock.source(step.source), earlier.preimage.get("source")
    path, found = (step.source,), []
    if not isinstance(then, Map) or then.get("digest") == now.digest.sha256:
        digests_differ = False
    else:
        digests_differ = True
        rows = earlier.about.get("rows")
        if isinstance(rows, int) and rows != now.rows:
            more = "more" if now.rows > rows else "fewer"
            count = abs(now.rows - rows)
            found.append(f"{count:,} {'row' if count == 1 else 'rows'} {more}")
    columns = then.get("columns") if isinstance(then, Map) else None
    old = dict(columns) if isinstance(columns, Map) else {}
    new = {column.name: column.type for column in now.columns}
    for name in sorted({*old, *new}):
        if name not in new:
            found.append(f"column {name} left out")
        elif name not in old:
            found.append(f"column {name} added")
        elif old[name] != new[name]:
            found.append(f"column {name} {old[name]} -> {new[name]}")
    if digests_differ and not found:
        found.append("other content in as many rows")
    for text in found:
        yield Change(path=path, text=f"{step.source}: {text}")


def _inputs(step: Step, preimage: Map, before: Map) -> Iterator[Change]:
    now, then = preimage["inputs"], before.get("inputs")
    assert isinstance(now, Map)
    makers = dict(step.inputs)
    for port, digest in now.items():
        if not isinstance(then, Map) or then.get(port) != digest:
            text = f"{makers[port]} is another"
            yield Change(path=("inputs", port), text=text)
    old, new = before.get("platform"), preimage.get("platform")
    if isinstance(old, Map) and isinstance(new, Map):
        for name in sorted({*old, *new}):
            if not same(old.get(name), new.get(name)):
                text = f"platform.{name} {_plain(old.get(name))} -> {_plain(new.get(name))}"
                yield Change(path=("platform", name), text=text)


def _shown(value: Value) -> str:
    return _short(canonical(value).decode("utf-8"))


def _plain(value: Value) -> str:
    return _short(value if isinstance(value, str) and value else _shown(value))


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST // 2]}..."
