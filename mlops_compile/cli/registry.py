"""`registry`: versions of models, what their aliases mean, and what happened to both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.registering import Place, opened, place_with
from mlops_compile.api.versions import Promotion, find_version, promote, rollback
from mlops_compile.cli.show import size, table, visible
from mlops_compile.cli.verb import Call
from mlops_compile.ir.value import Map, Value, pretty
from mlops_compile.ir.version import Event, Version
from mlops_compile.present.words import number

if TYPE_CHECKING:
    from mlops_compile.api.carrying import Carried

FORMAT = 1


def run(call: Call) -> int:
    """Do what is asked."""
    return _ACTIONS[call.options.action](call, place_with(call.options.overrides, Path()))


def _list(call: Call, place: Place) -> int:
    with opened(place) as registry:
        versions = registry.versions(call.options.name, most=call.options.most)
        aliases = registry.aliases(call.options.name)
    meant: dict[str, list[str]] = {}
    for (name, alias), number_ in aliases.items():
        meant.setdefault(f"{name}:{number_}", []).append(alias)
    if call.options.json:
        rows = tuple(version_value(one, meant.get(str(one), [])) for one in versions)
        print(pretty(Map({"format": FORMAT, "versions": rows})), end="", file=call.out)
        return 0
    if not versions:
        of = f" as {call.options.name}" if call.options.name else ""
        print(f"nothing is registered{of}; a run whose gates hold is", file=call.out)
        return 0
    rows_ = [
        (
            str(one),
            ", ".join(meant.get(str(one), [])) or ("archived" if one.archived else ""),
            _main_metric(one),
            moment(one.made),
            visible(one.by),
            f"plan {one.plan[:12]}",
        )
        for one in versions
    ]
    print(table(rows_), file=call.out)
    return 0


def _show(call: Call, place: Place) -> int:
    with opened(place) as registry:
        version = find_version(call.options.version, registry)
        aliases = [a for (_, a), n in registry.aliases(version.name).items() if n == version.number]
    if call.options.json:
        value = Map({"format": FORMAT, **version_value(version, aliases)})
        print(pretty(value), end="", file=call.out)
        return 0
    facts = [
        ("version", " ".join([str(version), *(f"@{alias}" for alias in aliases)])),
        ("registered", f"{moment(version.made)} by {visible(version.by)}"),
        *((f"data {name}", str(digest)[:12]) for name, digest in version.data.items()),
        *((f"function {name}", str(digest)[:12]) for name, digest in version.code.items()),
        ("plan", version.plan[:12]),
        ("model", version.model[:12]),
        ("service", f"{version.bundle.sha256[:12]}"),
        *((name, number(value)) for name, value in version.metrics.items()),
    ]
    facts += [("archived", moment(version.archived))] if version.archived else []
    print(table(facts), file=call.out)
    return 0


def _history(call: Call, place: Place) -> int:
    with opened(place) as registry:
        events = registry.history(call.options.name, most=call.options.most)
    if call.options.json:
        rows = tuple(map(event_value, events))
        print(pretty(Map({"format": FORMAT, "events": rows})), end="", file=call.out)
        return 0
    rows_ = [(moment(e.made), visible(e.by), event_text(e), visible(e.reason)) for e in events]
    of = f" to {call.options.name}" if call.options.name else ""
    print(table(rows_) if rows_ else f"nothing has happened{of}", file=call.out)
    return 0


def _promote(call: Call, place: Place) -> int:
    options = call.options
    done = promote(
        *(place, options.version, options.alias),
        reason=options.force or "",
        force=bool(options.force),
    )
    return _told(call, done)


def _rollback(call: Call, place: Place) -> int:
    done = rollback(place, call.options.name, call.options.alias, call.options.reason or "")
    return _told(call, done)


def _told(call: Call, done: Promotion) -> int:
    if call.options.json:
        verdict = done.verdict.to_dict() if done.verdict else None
        value: dict[str, Value] = {
            "format": FORMAT,
            "name": done.version.name,
            "alias": done.alias,
            "version": done.version.number,
            "before": done.before.number if done.before else None,
            "changed": done.changed,
            "compared": verdict,
            "costs": done.costs,
        }
        print(pretty(Map(value)), end="", file=call.out)
        return 0
    meaning = f"{done.version.name}@{done.alias}"
    if not done.changed:
        print(f"{meaning} is {done.version} already", file=call.out)
        return 0
    was = f", and was {done.before}" if done.before else ""
    print(f"{meaning} is {done.version}{was}", file=call.out)
    if done.verdict is not None:
        v = done.verdict
        span = "" if v.low is None else f" ({v.low:+.4g} to {v.high:+.4g})"
        print(
            f"  {v.metric} {number(v.old)} -> {number(v.new)}{span} on {v.rows:,} test rows",
            file=call.out,
        )
    return 0


def _export(call: Call, place: Place) -> int:
    from mlops_compile.api.carrying import export_version  # with all that reads locks, as below

    return _carried(call, export_version(place, call.options.version, call.options.file))


def _import(call: Call, place: Place) -> int:
    from mlops_compile.api.carrying import import_version

    return _carried(call, import_version(place, call.options.file))


def _compare(call: Call, place: Place) -> int:
    from mlops_compile.api.diffing import diff
    from mlops_compile.api.operand import REGISTRY
    from mlops_compile.cli.review_document import review_document
    from mlops_compile.cli.review_text import say_review

    review = diff(*(f"{REGISTRY}{words}" for words in (call.options.old, call.options.new)))
    if call.options.json:
        print(review_document(review), end="", file=call.out)
    else:
        say_review(review, call.out)
    return 0


def _archive(call: Call, place: Place) -> int:
    from mlops_compile.api.carrying import archive, archive_old

    keep = call.options.keep or (place.stated.keep if ":" not in call.options.version else None)
    if keep is None:
        return _carried(call, archive(place, call.options.version))
    return _carried(call, *archive_old(place, call.options.version, keep))


def _restore(call: Call, place: Place) -> int:
    from mlops_compile.api.carrying import restore

    return _carried(call, restore(place, call.options.version))


def _carried(call: Call, *done: Carried) -> int:
    if call.options.json:
        rows = tuple(map(carried_value, done))
        print(pretty(Map({"format": FORMAT, "versions": rows})), end="", file=call.out)
        return 0
    for one in done:
        known = "" if one.new else ", as it was already"
        print(f"{one.version}{known}: {one.file}, {size(one.size)}", file=call.out)
    if not done:
        print("nothing to do", file=call.out)
    return 0


def carried_value(one: Carried) -> Map:
    """A version in a file, in a document."""
    return Map(
        {
            "name": one.version.name,
            "version": one.version.number,
            "file": str(one.file),
            "size": one.size,
            "new": one.new,
        }
    )


_ACTIONS: Mapping[str, Callable[[Call, Place], int]] = {
    "list": _list,
    "show": _show,
    "history": _history,
    "promote": _promote,
    "rollback": _rollback,
    "compare": _compare,
    "archive": _archive,
    "restore": _restore,
    "export": _export,
    "import": _import,
}


def version_value(version: Version, aliases: list[str]) -> Map:
    """A version in a document."""
    value: dict[str, Value] = {
        "name": version.name,
        "version": version.number,
        "aliases": tuple(aliases),
        "plan": version.plan,
        "model": version.model,
        "bundle": version.bundle.to_dict(),
        "lock": version.lock.to_dict(),
        "record": version.record.to_dict(),
        "metrics": version.metrics,
        "primary": version.primary,
        "data": version.data,
        "code": version.code,
        "registered": moment(version.made),
        "by": version.by,
        "archived": moment(version.archived) if version.archived else None,
    }
    return Map(value)


def event_value(event: Event) -> Map:
    """An event in a document."""
    names = ("number", "name", "what", "version", "alias", "before", "reason", "about", "by")
    return Map({**{name: getattr(event, name) for name in names}, "time": moment(event.made)})


def event_text(event: Event) -> str:
    """What happened, in a few words."""
    if event.alias is None:
        return f"{event.what} {event.name}:{event.version}"
    was = f", was {event.before}" if event.before else ""
    return f"{event.what}: {event.name}@{event.alias} is {event.version}{was}"


def moment(seconds: float) -> str:
    """A time in UTC, to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _main_metric(version: Version) -> str:
    name = version.primary
    return f"{name} {number(version.metrics[name])}" if name in version.metrics else ""
