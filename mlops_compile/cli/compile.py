"""`compile`: config to lock, and what running it would do."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.compiling import Compilation, compile_config, effects_of
from mlops_compile.api.locks import read_lock, write_lock
from mlops_compile.cli.documents import compile_document
from mlops_compile.cli.front import Job, run_hydra
from mlops_compile.cli.patterns import effect_rows
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.effects import Effect
from mlops_compile.ir.lock import Lock, encode, plan_value, to_value
from mlops_compile.ir.problem import CompileError, StaleError, UsageError, problem
from mlops_compile.ir.schema import to_value as spec_value
from mlops_compile.ir.value import Value, canonical, dotted, leaves, pretty, same

_MOST = 20


def run(call: Call) -> int:
    """Compile one config."""
    options = call.options

    def compiled(job: Job) -> Compilation:
        if job.point:
            message = "compile takes one config, not a sweep"
            hint = "leave -m (or hydra.mode=MULTIRUN) out; a sweep is run by `mlops-compile run -m`"
            raise UsageError([problem("usage", message, hint=hint)])
        committed = committed_lock(options.file)
        return compile_config(job.config, Path(), refresh=options.refresh, committed=committed)

    for done in run_hydra(call.rest, compiled, inspect=True):
        if options.emit:
            print(_emitted(done, options.emit), end="", file=call.out)
            continue
        if options.locked:
            check_current(done.lock, options.file)
        changed = not options.locked and write_lock(done.lock, options.file)
        found = effects_of(done.lock, done.state)
        if options.json:
            print(compile_document(done.lock, options.file, found), end="", file=call.out)
        else:
            print(_summary(done.lock, found, options.file, changed), file=call.out)
    return 0


def _emitted(done: Compilation, what: str) -> str:
    match what:
        case "config":
            return pretty(done.config.values)
        case "spec":
            return pretty(spec_value(done.spec))
        case "plan":
            return pretty(plan_value(done.plan))
        case _:
            return encode(done.lock)


def committed_lock(file: Path) -> Lock | None:
    """The lock in a file, if there is a readable one: its pins stand where the data is not here."""
    try:
        return read_lock(file)
    except CompileError:
        return None


def check_current(lock: Lock, file: Path) -> None:
    """StaleError, with what differs, if the file is not this lock."""
    if not file.exists():
        hint = "write it with `mlops-compile compile`"
        raise StaleError([problem("no-lock", f"there is no lock {file}", hint=hint)])
    committed = read_lock(file)
    if encode(committed) == encode(lock):
        return
    old, new = dict(leaves(to_value(committed))), dict(leaves(to_value(lock)))
    differs = [path for path in sorted({*old, *new}) if not same(old.get(path), new.get(path))]
    lines = [
        f"{dotted(path)}: {_text(old.get(path))} -> {_text(new.get(path))}"
        for path in differs[:_MOST]
    ]
    more = [f"and {len(differs) - _MOST} more"] if len(differs) > _MOST else []
    message = "\n  ".join([f"{file} is not what the config compiles to:", *lines, *more])
    raise StaleError(
        [problem("stale", message, hint="write it again with `mlops-compile compile`")]
    )


def _text(value: Value) -> str:
    return canonical(value).decode("utf-8")


def _summary(lock: Lock, found: tuple[Effect, ...], file: Path, changed: bool) -> str:
    counts = {
        name: sum(effect.effect == name for effect in found) for name in ("run", "maybe", "hit")
    }
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    state = "written" if changed else "unchanged"
    head = f"plan {lock.digest[:12]}: {len(found)} steps, {counted}"
    return f"{head}\n{table(effect_rows(found))}\n{file} {state}"
