"""The loop: triggers, a new snapshot, a new plan, challenger against champion, and what follows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.compiling import compile_config
from mlops_compile.api.contest import contest
from mlops_compile.api.diffing import diff
from mlops_compile.api.measured import Measured, made_of
from mlops_compile.api.monitoring import (
    Asked,
    Served,
    asked_with,
    monitor,
    served_model,
)
from mlops_compile.api.registering import name_of, opened, register_run
from mlops_compile.api.rounds import (
    FOLDER,
    REPORT,
    Round,
    alone,
    config_digest,
    known_ids,
    open_round,
    round_of,
    rounds_of,
)
from mlops_compile.api.running import failure, resources_of, run_and_write
from mlops_compile.api.versions import LEAST_ROWS, find_version, lock_of_version, output_of, promote
from mlops_compile.api.writing import written
from mlops_compile.compiler.check import check, check_improve, check_places
from mlops_compile.compiler.spec import PLACES
from mlops_compile.execute.observer import Observer
from mlops_compile.ir.config import LOCK_FILE, Config
from mlops_compile.ir.improved import Improved
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import CompileError, GateError, UsageError, problem
from mlops_compile.ir.record import RunRecord
from mlops_compile.ir.value import Map, Value, pick
from mlops_compile.ir.version import CHAMPION, Version, is_version_name
from mlops_compile.present.improved import improved_markdown
from mlops_compile.steps.improving import Improve
from mlops_compile.steps.splits import PARTS

if TYPE_CHECKING:
    from mlops_compile.monitor.snapshot import Base, Live

CHALLENGER = "challenger"
_ALIASES = {"promoted": CHAMPION, "review": CHALLENGER}
_DECLINE = ("estimate", "performance", "segment")
# Of the config, what no step of a plan follows from.
_NO_CAUSES = (*PLACES, "monitor", "improve", "review", "env", "format")
_SNAPSHOT, _RECENT = "snapshot.parquet", "recent.arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What one call of the loop works with."""

    name: str
    asked: Asked
    improve: Improve
    now: datetime
    champion: Version
    served: Served
    side: Measured

    @property
    def place(self) -> Path:
        return self.asked.place.state.root / FOLDER / self.name

    @property
    def causes(self) -> Value:
        """What of the config the next model follows from."""
        held = self.asked.config.values
        return Map({name: value for name, value in held.items() if name not in _NO_CAUSES})


def improve(
    overrides: Sequence[str],
    name: str,
    project: Path,
    now: datetime,
    observer: Callable[[Lock], Observer],
    waiting: Callable[[Path], None],
) -> Improved:
    """Look whether the champion of a name can be made better from its log and feedback, and do as
    `improve.policy` says. What was done for the same rows is not done again, and what was cut off
    is gone on with; `waiting` is told the file that another call has locked. Raises what running
    the new plan raises; UsageError without a champion."""
    asked = asked_with(overrides, project)
    _check_name(asked, name)
    with alone(asked.place.state.root / FOLDER / name, waiting):
        loop = _loop(asked, name, now)
        if _finish(loop):
            loop = _loop(asked, name, now)
        return _improve(loop, observer)


def _check_name(asked: Asked, name: str) -> None:
    """UsageError unless it names versions that have a champion."""
    if not is_version_name(name):
        message, hint = f"{name!r} is no name of a model", "for example adult, without a number"
        raise UsageError([problem("usage", message, hint=hint)])
    if not asked.place.stated.register:
        message = "registry.register is false, and a challenger is a version"
        raise UsageError([problem("usage", message, ("registry", "register"), "let it be true")])
    with opened(asked.place) as registry:
        if registry.meant(name, CHAMPION)[0] is None:
            message = f"{name} has no champion to be improved"
            hint = f"let one be it: mlops-compile registry promote {name}"
            raise UsageError([problem("registry", message, hint=hint)])


def _loop(asked: Asked, name: str, now: datetime) -> Loop:
    config, place = asked.config, asked.place
    if (own := name_of(config, place)) != name:
        message = f"this project makes versions of {own}, and not of {name}"
        raise UsageError([problem("usage", message, hint=f"mlops-compile improve {own}")])
    with opened(place) as registry:
        champion = find_version(f"{name}@{CHAMPION}", registry)
    lock = lock_of_version(champion, place.state.store)
    return Loop(
        name=name,
        asked=asked,
        improve=check_improve(config),
        now=now,
        champion=champion,
        served=served_model(str(champion), place),
        side=Measured(lock=lock, made=made_of(lock, place.state.store)),
    )


def _improve(loop: Loop, observer: Callable[[Lock], Observer]) -> Improved:
    head = {"name": loop.name, "champion": str(loop.champion)}
    if (held := open_round(loop.place, loop.champion.plan, loop.causes)) is not None:
        result = _round(loop, held, observer)
        told = {**head, "triggers": result["triggers"]}
        return _told(loop, told, held, result, str(result["status"]))
    base = _base(loop)
    live = None if loop.served.sensitive else _live(loop, base)
    known = known_ids(loop.place, loop.causes)
    fresh = sum(one not in known for one in live.ids) if live else 0
    triggers = tuple(_triggers(loop, fresh))
    told = {**head, "triggers": triggers}
    least = max(loop.improve.least_rows, ceil(LEAST_ROWS / loop.improve.recent))
    if not triggers:
        return Improved(**told, status="quiet", rows=fresh, needed=least)  # type: ignore[arg-type]
    if live is None:
        message = f"the log of {loop.name} has no values of its sensitive columns to learn from"
        hint = "make the next snapshot from your own records of them, and run"
        raise UsageError([problem("usage", message, ("data", "columns"), hint)])
    rows = tuple(f"{one} {digest}" for one, digest in zip(live.ids, live.contents, strict=True))
    found = round_of(loop.place, loop.champion.plan, loop.causes, rows)
    if (result_ := found.result) is not None:
        return _told(loop, told, found, result_, "done")
    if fresh < least:
        return Improved(**told, status="waiting", rows=fresh, needed=least)  # type: ignore[arg-type]
    _begin(loop, found, base, live, triggers)
    result = _round(loop, found, observer)
    return _told(loop, told, found, result, str(result["status"]))


def _finish(loop: Loop) -> bool:
    """Do what a closed round decided, and was cut off before it did; whether there was any."""
    closed = [(held, held.result) for held, _ in rounds_of(loop.place, loop.causes)]
    decided = [(held, told) for held, told in closed if told and told["status"] in _ALIASES]
    if not decided:
        return False
    with opened(loop.asked.place) as registry:
        done = {event.about.get("round") for event in registry.history(loop.name)}
    left = [(held, result) for held, result in decided if held.name not in done]
    for held, result in left:
        _follow(loop, held, result)
    return bool(left)


def _told(
    loop: Loop, head: Mapping[str, object], held: Round, result: Map, status: str
) -> Improved:
    report = os.path.relpath(held.directory / REPORT, loop.asked.project)
    more = {"round": held.name, "result": result, "report": report}
    return Improved(**head, **more, status=status)  # type: ignore[arg-type]


# Why


def _triggers(loop: Loop, fresh: int) -> Iterator[str]:
    """Why a challenger is worth while, as sentences."""
    asked = loop.improve.triggers
    age = (loop.now.timestamp() - loop.champion.made) / 86_400
    if asked.days is not None and age >= asked.days:
        yield f"{loop.champion} is {age:.0f} days old ({asked.days:g} allowed)"
    if asked.rows is not None and fresh >= asked.rows:
        yield f"{fresh:,} new labelled rows ({asked.rows:,} asked for)"
    if not (asked.drift or asked.performance):
        return
    found = monitor(loop.asked, str(loop.champion), loop.now)
    for finding in found.findings:
        wanted = asked.performance if finding.kind in _DECLINE else asked.drift
        if finding.alert and wanted and finding.kind not in ("volume", "latency"):
            yield finding.message


# What from


def _base(loop: Loop) -> Base:
    from mlops_compile.monitor.snapshot import Base  # pyarrow, where there is something to do

    store, split = loop.asked.place.state.store, pick(loop.asked.config.values, ("data", "split"))
    parts = {"train": output_of(loop.side, store, "split", "train")}
    action = loop.side.own("split")
    assert action is not None  # it has made the part above
    more = [part for part in PARTS if part != "train" and part in dict(action.outputs)]
    parts |= {part: output_of(loop.side, store, "split", part) for part in more}
    kind, keys = "", []
    if isinstance(split, Map):
        kind = str(split.get("kind"))
        keys = {"group": [split.get("column")], "stratified": [split.get("group")]}.get(kind, [])
        keys = [*split["columns"]] if kind == "hash" else keys  # type: ignore[misc]
    asked = {column.name for column in loop.served.reference.columns}
    return Base(
        table=output_of(loop.side, store, "validate", "table"),
        target=output_of(loop.side, store, "validate", "target"),
        parts=parts,
        name=loop.served.reference.target,
        keys=tuple(str(name) for name in keys) if {*keys} <= asked else (),
        by_time=kind == "time",
    )


def _live(loop: Loop, base: Base) -> Live:
    """All labelled rows that the log has of the name's versions and the champion knows not."""
    from mlops_compile.monitor.feedback import read_feedback
    from mlops_compile.monitor.log import Log
    from mlops_compile.monitor.snapshot import live_rows
    from mlops_compile.monitor.windows import read_lines

    with opened(loop.asked.place) as registry:
        models = frozenset(version.model for version in registry.versions(loop.name))
    log, reference = Log(loop.asked.log), loop.served.reference
    asked = [column.name for column in reference.columns]
    if loop.improve.source is not None and loop.improve.source not in asked:
        message = f"{loop.improve.source!r} is no column of a request"
        hint = f"columns: {', '.join(asked)}; null: a day is a source"
        raise CompileError([problem("no-column", message, ("improve", "source"), hint)])
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    lines = read_lines(log, reference, models, begin, loop.now)
    feedback, columns = read_feedback(log, reference), dict(check(loop.asked.config).data.columns)
    return live_rows(lines, feedback, reference, base, columns, loop.improve.source)


# What then


def _begin(loop: Loop, held: Round, base: Base, live: Live, triggers: tuple[str, ...]) -> None:
    """Write the data of a round, then what it works with: from here on the log is not needed."""
    from mlops_compile.monitor.snapshot import snapshot, write_parquet
    from mlops_compile.steps.tables import write_table

    made = snapshot(base, live, loop.served.reference, loop.improve)
    with written(held.directory):
        held.directory.mkdir(parents=True, exist_ok=True)
        write_parquet(made.table, held.directory / _SNAPSHOT)
        write_table(held.directory / _RECENT, made.recent)
    held.begin(
        Map(
            {
                "against": loop.champion.plan,
                "config": config_digest(loop.causes),
                "triggers": triggers,
                "ids": live.ids,
                "told": made.told,
                "parts": made.parts,
                "columns": tuple(made.table.column_names),
            }
        )
    )


def _round(loop: Loop, held: Round, observer: Callable[[Lock], Observer]) -> Map:
    """Make the challenger, compare it, and do as the policy says; the result that closes it."""
    begun = held.begun
    assert begun is not None
    record = _run(loop, held, begun, observer)
    lock = record.lock
    result: dict[str, Value] = {
        "format": 1,
        "round": held.name,
        "champion": str(loop.champion),
        "against": loop.champion.plan,
        "config": begun["config"],
        "triggers": begun["triggers"],
        "data": begun["told"],
        "plan": lock.digest,
    }
    plan = str(held.directory / "run" / LOCK_FILE)
    review = diff(f"registry:{loop.champion}", plan, project=loop.asked.project)
    if not record.ok:
        error = failure(record)
        if not isinstance(error, GateError) and error.exit_code != GateError.exit_code:
            raise error  # to be gone on with
        why = "; ".join(item.message for item in error.problems)
        end = Map({**result, "status": "gates", "why": f"gates are not met: {why}"})
        held.report(improved_markdown(end, review))
        held.close(end)
        return end
    version = register_run(record, loop.name, loop.asked.place)
    assert version is not None  # it made a bundle, and versions are wanted
    challenger = Measured(lock=lock, made=made_of(lock, loop.asked.place.state.store))
    found = contest(
        loop.asked.place, loop.side, challenger, held.directory / _RECENT, loop.improve.old_rows
    )
    status = "kept"
    if found.wins:
        status = "promoted" if loop.improve.policy == "promote" else "review"
    told: dict[str, Value] = {"challenger": str(version), "contest": found.to_dict()}
    end = Map({**result, **told, "why": found.why, "status": status})
    held.report(improved_markdown(end, review))
    held.close(end)
    return _follow(loop, held, end) if found.wins else end


def _follow(loop: Loop, held: Round, result: Map) -> Map:
    """Let the champion's alias, or the challenger's, mean a version that won, unless the champion
    that it won against is none any more; the result, with what came of it."""
    alias = _ALIASES[str(result["status"])]
    why = f"improve, round {held.name}: {result['why']}"
    against = int(str(result["champion"]).rpartition(":")[2]) if alias == CHAMPION else None
    try:
        promote(
            *(loop.asked.place, str(result["challenger"]), alias),
            reason=why,
            force=True,  # the contest has decided
            against=against,
            about=Map({"round": held.name}),
        )
    except GateError as error:
        told = "; ".join(item.message for item in error.problems)
        result = Map({**result, "status": "kept", "why": f"{result['why']}, but {told}"})
        held.close(result)
    return result


def _run(loop: Loop, held: Round, begun: Map, observer: Callable[[Lock], Observer]) -> RunRecord:
    """Compile the config with the snapshot for its data, and run it."""
    project, state = loop.asked.project, loop.asked.place.state
    lock = compile_config(_with(loop, held, begun), project).lock
    resources = resources_of(check_places(loop.asked.config).execution)
    directory = held.directory / "run"
    record, _ = run_and_write(lock, state, project, directory, observer(lock), resources)
    return record


def _with(loop: Loop, held: Round, begun: Map) -> Config:
    """The config with the snapshot in place of its data: of the columns that it has, split as it
    says, without what was joined or tested on besides."""
    from mlops_compile.monitor.snapshot import PART, SOURCE

    data, there, parts = loop.asked.config.values["data"], begun["columns"], begun["parts"]
    assert isinstance(data, Map) and isinstance(there, tuple) and isinstance(parts, tuple)
    stated = data.get("columns", Map())
    assert isinstance(stated, Map)
    columns = {name: column for name, column in stated.items() if name in there}
    columns |= {name: Map({"role": "id"}) for name in (PART, SOURCE)}
    file = os.path.relpath(held.directory / _SNAPSHOT, loop.asked.project)
    named = Map({str(part): part for part in parts})
    now = {name: value for name, value in data.items() if name not in ("test", "join")} | {
        "source": Map({"kind": "parquet", "path": file}),
        "split": Map({"kind": "column", "column": PART, "parts": named}),
        "columns": Map(columns),
    }
    return replace(loop.asked.config, values=Map({**loop.asked.config.values, "data": Map(now)}))
