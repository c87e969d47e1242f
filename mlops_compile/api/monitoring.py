"""Looks at a service: its log and feedback of a window beside the reference of its model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.models import bundle_to_serve
from mlops_compile.api.registering import Place, place_of
from mlops_compile.api.state import state_of
from mlops_compile.compiler.check import check_monitor
from mlops_compile.compiler.compose.config import compose
from mlops_compile.ir.config import Config
from mlops_compile.ir.finding import Finding
from mlops_compile.ir.problem import CompileError, UsageError, problem
from mlops_compile.ir.reference import FILE, Reference, reference_of
from mlops_compile.ir.value import Map, Value, parse, pick
from mlops_compile.present.monitored import Looked
from mlops_compile.steps.monitoring import Monitor, seconds_of

if TYPE_CHECKING:
    from mlops_compile.monitor.observed import Window

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a project's config says of monitoring, and where it keeps its state."""

    config: Config
    monitor: Monitor
    place: Place
    project: Path

    @property
    def log(self) -> str:
        """The place of the log. UsageError where the config names none."""
        stated = self.monitor.log
        if stated is None:
            hint = "name the directory that the service was started with: --log DIR"
            raise UsageError([problem("usage", "monitor.log names no log", hint=hint)])
        is_elsewhere = "://" in stated or os.path.isabs(stated)
        return stated if is_elsewhere else str(self.project / stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model that is served: its digest, and the reference of its bundle, without the columns that
    its log leaves out. `sensitive`: there are such, or they are hashed."""

    words: str
    model: str
    plan: str
    reference: Reference
    sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """What was found of a model in a window. `read` are the lines and the feedback; `window` is
    what was compared."""

    served: Served
    window: Window
    read: Map
    findings: tuple[Finding, ...]

    @property
    def alert(self) -> bool:
        return any(finding.alert for finding in self.findings)

    def to_dict(self) -> Map:
        """As the document that `monitor --json` prints."""
        window = self.window
        ends = {"start": _moment(window.start), "end": _moment(window.end)}
        return Map(
            {
                "format": FORMAT,
                "model": self.served.model,
                "plan": self.served.plan,
                "name": self.served.words,
                "window": Map(ends),
                "rows": window.rows,
                "read": self.read,
                "findings": tuple(finding.to_dict() for finding in self.findings),
                "performance": self.performance,
                "alert": self.alert,
            }
        )

    @property
    def performance(self) -> Map:
        """The metrics of the test rows, what they are estimated to be now, and what they are."""
        found: dict[str, Value] = {"labelled": len(self.window.labelled)}
        found["reference"] = self.served.reference.metrics
        for kind, name in (("estimate", "estimated"), ("performance", "real")):
            held = {
                f.test: f.value for f in self.findings if f.kind == kind and f.value is not None
            }
            found[name] = Map(held)
        return Map(found)


def asked_with(overrides: Sequence[str], project: Path) -> Asked:
    """What the project's config says, with these overrides."""
    config = compose(tuple(overrides), project)
    place = place_of(config, state_of(config, project))
    return Asked(config=config, monitor=check_monitor(config), place=place, project=project)


def served_model(words: str, place: Place) -> Served:
    """The model that words name, with its reference. CompileError where its bundle has none."""
    bundle = bundle_to_serve(words, place)
    facts = parse((bundle / "bundle.json").read_bytes())
    assert isinstance(facts, Map)
    try:
        reference = reference_of(parse((bundle / FILE).read_bytes()))
    except FileNotFoundError:
        message = f"the bundle of {words} has no {FILE}: it was made by an earlier version"
        raise CompileError([problem("no-model", message, hint="make it again: run")]) from None
    sensitive = any(column.sensitive for column in (*reference.columns, reference.truth))
    if pick(facts, ("service", "log", "sensitive")) == "omit":
        kept = tuple(column for column in reference.columns if not column.sensitive)
        reference = replace(reference, columns=kept)
    return Served(
        words=words,
        model=str(facts["model"]),
        plan=str(facts["plan"]),
        reference=reference,
        sensitive=sensitive,
    )


def monitor(asked: Asked, words: str, end: datetime, start: datetime | None = None) -> Monitored:
    """Look at a model's log from `start` (else one window before `end`) to before `end`."""
    from mlops_compile.monitor.judge import findings  # scipy is slow to import
    from mlops_compile.monitor.log import Log
    from mlops_compile.monitor.windows import look

    begin = start or end - timedelta(seconds=seconds_of(asked.monitor.window))
    if begin >= end:
        raise UsageError([problem("usage", f"a window from {begin} to {end} has no length")])
    served = served_model(words, asked.place)
    seen = look(Log(asked.log), served.reference, served.model, begin, end)
    return Monitored(
        served=served,
        window=seen.window,
        read=seen.to_dict(),
        findings=findings(served.reference, seen.window, asked.monitor),
    )


def feed_back(
    asked: Asked, words: str, file: Path, names: tuple[str, str, str | None], now: datetime
) -> int | None:
    """Put the outcomes of a file into the log of a model; how many they are, None where they are
    there already. CompileError where a row is wrong."""
    from mlops_compile.monitor.log import Log
    from mlops_compile.monitor.outcomes import outcomes

    reference = served_model(words, asked.place).reference
    if reference.truth.sensitive:
        message = f"{reference.target} is sensitive: the log has no answers to hold truths beside"
        raise UsageError([problem("usage", message, hint="the service takes hashed ones")])
    name, lines, count = outcomes(file, names, reference, now)
    return count if Log(asked.log).add(name, lines) else None


def quoted(text: str) -> str:
    """A text as the value of an override, whatever it holds."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def looked(found: Monitored) -> Looked:
    """What was found, as it is shown."""
    return Looked(
        name=found.served.words,
        start=_moment(found.window.start),
        end=_moment(found.window.end),
        rows=found.window.rows,
        read=found.read,
        findings=found.findings,
    )


def page_of(found: Monitored) -> str:
    """A page for a browser."""
    from mlops_compile.monitor.shapes import shapes
    from mlops_compile.present.monitor_page import monitor_page  # matplotlib is slow to import
    from mlops_compile.present.page import render
    from mlops_compile.present.secret import Secret

    reference = found.served.reference
    page = monitor_page(looked(found), tuple(shapes(reference, found.window)), found.performance)
    hidden = tuple(column.name for column in reference.columns if column.sensitive)
    return render(page, Secret(names=hidden))


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
