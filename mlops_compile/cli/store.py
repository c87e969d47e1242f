"""`store`: what takes the space of the store, what is wrong with it, what may go, what must."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from mlops_compile.api.keeping import (
    Collection,
    check_store,
    collect_garbage,
    forget_source,
    pin,
    store_usage,
    unpin,
)
from mlops_compile.api.locks import read_any
from mlops_compile.api.registering import place_of, versions_to_keep
from mlops_compile.api.roots import Kept
from mlops_compile.api.state import State, state_of
from mlops_compile.cli import store_documents as documents
from mlops_compile.cli.problems import say_problems
from mlops_compile.cli.show import size, table, visible
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.compose.config import compose
from mlops_compile.ir.config import LOCK_FILE
from mlops_compile.ir.digest import digest_of
from mlops_compile.ir.problem import CompileError, Problem, StoreError
from mlops_compile.ir.version import Version
from mlops_compile.present.words import counted
from mlops_compile.store.fsck import Checked
from mlops_compile.store.usage import Share, Usage

_PROJECT = Path()
_MOST = 10  # roots by name


def run(call: Call) -> int:
    """Do what is asked; 7 where `fsck` found something wrong."""
    lock = _lock_file(call)
    config = compose(tuple(call.options.overrides), _PROJECT)
    state = state_of(config, _PROJECT)
    if call.options.action == "pin":
        return _pin(call, state, lock)
    if call.options.action in ("du", "gc"):
        versions = versions_to_keep(place_of(config, state))
        return (_du if call.options.action == "du" else _gc)(call, state, versions)
    return _ACTIONS[call.options.action](call, state)


def _lock_file(call: Call) -> Path:
    """The lock to pin: the word behind the name, where that is no override."""
    words: list[str] = call.options.overrides
    if call.options.action == "pin" and words and "=" not in words[0] and words[0][0] != "~":
        return Path(words.pop(0))
    return Path(LOCK_FILE)


def _du(call: Call, state: State, versions: tuple[Version, ...]) -> int:
    found = store_usage(state)
    free: Collection | None = None
    problems: tuple[Problem, ...] = ()
    try:
        free = collect_garbage(state, _PROJECT, Kept(versions=versions), dry_run=True)
    except (CompileError, StoreError) as error:  # the rest can be told all the same
        problems = error.problems
    if call.options.json:
        print(documents.du(state.store.root, found, free), end="", file=call.out)
    else:
        print(_usage_text(state.store.root, found, free), file=call.out)
    say_problems(problems, call.err, "warning")
    return 0


def _usage_text(root: Path, found: Usage, free: Collection | None) -> str:
    if not found.total:
        return f"{root}: nothing is stored"
    actions, blobs = counted(found.action_count, "result"), counted(found.blob_count, "blob")
    lines = [f"{root}: {size(found.total)}, {actions}, {blobs}"]
    views = (("step kind", found.kinds), ("data set", found.data), ("last use", found.ages))
    for title, shares in views:
        lines += [f"by {title}", _shares(shares)] if shares else []
    besides = {
        "index": found.index,
        "set aside as wrong": found.quarantine,
        "of runs that go on or died": found.scratch,
    }
    told = ", ".join(f"{name} {size(taken)}" for name, taken in besides.items() if taken)
    lines += [f"besides: {told}"] if told else []
    if free is None:
        lines.append("what gc would free cannot be told")
    else:
        lines.append(f"gc would free {_gone(free)}")
    return "\n".join(lines)


def _shares(shares: Sequence[Share]) -> str:
    rows = [
        (
            visible(share.name),
            size(share.size),
            counted(share.actions, "result") if share.actions else "",
        )
        for share in shares
    ]
    width = max(len(row[1]) for row in rows)
    return table([(name, taken.rjust(width), count) for name, taken, count in rows])


def _fsck(call: Call, state: State) -> int:
    meter = _Meter(call.err)
    found = check_store(state, _PROJECT, meter, dry_run=call.options.dry_run)
    meter.end()
    if call.options.json:
        print(documents.fsck(state.store.root, found, call.options.dry_run), end="", file=call.out)
    else:
        print(_check_text(state.store.root, found, call.options.dry_run), file=call.out)
    return StoreError.exit_code if found.faults else 0


def _check_text(root: Path, found: Checked, dry_run: bool) -> str:
    actions, blobs = counted(found.actions, "result"), counted(found.blobs, "blob")
    lines = [f"{root}: {actions}, {blobs}, {size(found.size)} read"]
    for fault in found.faults:
        name = fault.name[:12] if fault.what in ("blob", "record") else visible(fault.name)
        lines.append(f"  {fault.what} {name}: {visible(fault.matter)}")
        of = f"of {', '.join(fault.steps)} from {' and '.join(fault.data)}; " if fault.steps else ""
        lines.append(f"    {visible(of)}{fault.fate}")
    anew, away = ("", "") if dry_run else ("; it is written anew", ", swept away")
    lines += [f"  note: the index lags behind: {text}{anew}" for text in found.behind]
    if found.swept:
        lines.append(f"  note: {counted(found.swept, 'leftover')} of dead processes{away}")
    for sha, data in found.uncopied:
        lines.append(f"  note: there is no copy of {visible(data)} ({sha[:12]}); its results stay,")
        lines.append("    and can be made again as long as it is what it was")
    if not found.faults:
        return "\n".join([*lines, "nothing is wrong"])
    wrong = f"{counted(len(found.faults), 'thing')} wrong"
    mended = "`mlops-compile store fsck` mends what is" if dry_run else "all of it mended"
    return "\n".join([*lines, f"{wrong}; {mended}"])


class _Meter:
    """How far a check has come, on a terminal."""

    def __init__(self, err: TextIO) -> None:
        self._err = err if err.isatty() else None
        self._told = ""

    def __call__(self, done: int, total: int) -> None:
        text = f"read {size(done)} of {size(total)}"
        if self._err is not None and text != self._told:
            print(f"\r{text:<40}", end="", file=self._err, flush=True)
            self._told = text

    def end(self) -> None:
        """Leave nothing of it on the terminal."""
        if self._err is not None and self._told:
            print(f"\r{'':<40}\r", end="", file=self._err, flush=True)


def _gc(call: Call, state: State, versions: tuple[Version, ...]) -> int:
    options = call.options
    refs = None if options.ref is None else tuple(options.ref)
    runs = tuple(options.run)
    kept = Kept(refs=refs, runs=runs, all_runs=options.keep_runs, versions=versions)
    found = collect_garbage(
        state,
        _PROJECT,
        kept,
        budget=options.budget,
        older_than=options.older_than,
        dry_run=options.dry_run,
    )
    for note in found.notes:
        print(f"note: {note}", file=call.err)
    if options.json:
        text = documents.gc(state.store.root, found, options.dry_run)
        print(text, end="", file=call.out)
        return 0
    did = found.collected
    live = [counted(did.live, "run") + " going on"] if did.live else []
    names = [*live, *found.roots]
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    roots = ", ".join([*names[:_MOST], *more]) or "nothing (there is no lock, pin or run)"
    stays = f"{counted(did.kept_actions, 'result')}, {size(did.kept_size)}"
    print(f"kept for: {visible(roots)}", file=call.out)
    print(f"{'would free' if options.dry_run else 'freed'} {_gone(found)}", file=call.out)
    print(f"{'would stay' if options.dry_run else 'stays'}: {stays}", file=call.out)
    return 0


def _gone(found: Collection) -> str:
    did = found.collected
    if not did.blobs and not did.actions:
        return "nothing"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in did.actions)
    of = f" ({kinds})" if kinds else ""
    actions = counted(sum(count for _, count in did.actions), "result")
    return f"{size(did.size)}: {actions}{of}, {counted(did.blobs, 'blob')}"


def _pin(call: Call, state: State, file: Path) -> int:
    lock, name = read_any(file), call.options.name
    before = pin(state, name, lock)
    old = digest_of(before.encode("utf-8")).sha256 if before else ""
    if call.options.json:
        print(documents.pin(name, lock.digest, old or None), end="", file=call.out)
        return 0
    was = f"; it kept plan {old[:12]} before" if old not in ("", lock.digest) else ""
    print(f"pinned {name}: plan {lock.digest[:12]} of {file}{was}", file=call.out)
    return 0


def _unpin(call: Call, state: State) -> int:
    unpin(state, call.options.name)
    if call.options.json:
        print(documents.unpin(call.options.name), end="", file=call.out)
    else:
        text = f"unpinned {call.options.name}; gc may free what was kept for it alone"
        print(text, file=call.out)
    return 0


def _forget(call: Call, state: State) -> int:
    options = call.options
    found, runs = forget_source(
        state, _PROJECT, options.what, options.reason, dry_run=options.dry_run
    )
    if options.json:
        text = documents.forget(state.store.root, found, runs, options.dry_run)
        print(text, end="", file=call.out)
        return 0
    names = " and ".join(found.locations) or "a snapshot"
    digests = ", ".join(source[:12] for source in found.sources)
    actions, blobs = counted(found.actions, "result"), counted(found.blobs, "blob")
    lines = [
        f"{'would forget' if options.dry_run else 'forgot'} {visible(names)} ({digests}):"
        f" {size(found.size)}, {actions}, {blobs}"
    ]
    if found.unknown:
        of = "of unknown data: a record is lost that would tell what they are made of"
        lines.append(f"  {counted(found.unknown, 'result')} of them {of}")
    if found.loose:
        lines.append(f"  {counted(found.loose, 'blob')} of them that no result holds")
    if found.cached:
        lines.append(f"  {counted(found.cached, 'file')} of the cache")
    lines += [f"  the pin {name}" for name in found.pins]
    if found.kept:
        need = "stays, which" if found.kept == 1 else "stay, which"
        lines.append(f"  {counted(found.kept, 'blob')} {need} other data gave too")
    if runs:
        lines.append("these run directories are yours, and still tell of it:")
        lines += [f"  {visible(str(place))}" for place in runs]
    print("\n".join(lines), file=call.out)
    return 0


_ACTIONS: Mapping[str, Callable[[Call, State], int]] = {
    "fsck": _fsck,
    "unpin": _unpin,
    "forget": _forget,
}
