"""`compile`: config to lock, and what running it would do."""

from __future__ import annotations

from pathlib import Path

from mlops_compile.api.compiling import Compilation, compile_config, effects_of
from mlops_compile.api.locks import committed_lock, write_lock
from mlops_compile.cli.current import check_current
from mlops_compile.cli.documents import compile_document
from mlops_compile.cli.front import Job, Multirun, run_hydra
from mlops_compile.cli.multirun import compile_multirun
from mlops_compile.cli.patterns import effect_rows
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.effects import Effect
from mlops_compile.ir.lock import Lock, encode, plan_value
from mlops_compile.ir.schema import to_value as spec_value
from mlops_compile.ir.value import pretty


def run(call: Call) -> int:
    """Compile one config, or all points of a multirun."""
    options = call.options

    def compiled(job: Job) -> int:
        committed = committed_lock(options.file)
        done = compile_config(job.config, Path(), refresh=options.refresh, committed=committed)
        return _told(done, call)

    def together(multirun: Multirun) -> list[int]:
        return [compile_multirun(call, multirun)]

    return max(run_hydra(call.rest, compiled, inspect=True, together=together), default=0)


def _told(done: Compilation, call: Call) -> int:
    options = call.options
    if options.emit:
        print(_emitted(done, options.emit), end="", file=call.out)
        return 0
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


def _summary(lock: Lock, found: tuple[Effect, ...], file: Path, changed: bool) -> str:
    counts = {
        name: sum(effect.effect == name for effect in found) for name in ("run", "maybe", "hit")
    }
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    state = "written" if changed else "unchanged"
    head = f"plan {lock.digest[:12]}: {len(found)} steps, {counted}"
    return f"{head}\n{table(effect_rows(found))}\n{file} {state}"
