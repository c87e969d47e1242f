"""Versions of models: found by what names them, compared, promoted, taken back."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_compile.api.behaving import costs_of
from mlops_compile.api.locks import lock_of
from mlops_compile.api.measured import Measured, made_of
from mlops_compile.api.registering import Place, check_held, opened
from mlops_compile.api.writing import written
from mlops_compile.ir.criteria import criteria_of
from mlops_compile.ir.digest import Digest
from mlops_compile.ir.lock import Lock
from mlops_compile.ir.problem import (
    CompileError,
    GateError,
    ProblemsError,
    StoreError,
    UsageError,
    problem,
)
from mlops_compile.ir.schema import from_value
from mlops_compile.ir.value import Map, parse
from mlops_compile.ir.version import CHAMPION, Version, What, is_version_name
from mlops_compile.store.store import Store

if TYPE_CHECKING:
    from mlops_compile.registry.registry import Registry
    from mlops_compile.steps.versus import Verdict

LEAST_ROWS = 50  # that a comparison is worth something on
_WORDS = re.compile(r"(?P<name>[^:@]+)(?::(?P<number>[1-9]\d{0,8})|@(?P<alias>.+))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What an alias means now, and meant before (None: nothing); by what comparison, and what the
    two cost. `changed`: it meant something else before."""

    version: Version
    alias: str
    before: Version | None
    changed: bool
    verdict: Verdict | None = None
    costs: Map = field(default_factory=Map)


def find_version(words: str, registry: Registry) -> Version:
    """The version that words name: `NAME:NUMBER`, `NAME@ALIAS`, or `NAME`, its champion, or where
    there is none its newest version. UsageError where there is none."""
    match = _WORDS.match(words)
    if match is None or not is_version_name(match["name"]):
        hint = "write NAME, NAME:NUMBER or NAME@ALIAS"
        raise UsageError([problem("registry", f"{words!r} names no version", hint=hint)])
    name, alias = match["name"], match["alias"]
    number = int(match["number"]) if match["number"] else None
    if number is None:
        number, _ = registry.meant(name, alias or CHAMPION)
    if number is None and alias is None:
        newest = registry.versions(name, most=1)
        number = newest[0].number if newest else None
    found = None if number is None else registry.version(name, number)
    if found is None:
        names = ", ".join(registry.names()) or "none"
        aliases = ", ".join(alias for _, alias in registry.aliases(name)) or "none"
        hint = f"aliases of {name}: {aliases}" if name in registry.names() else f"names: {names}"
        raise UsageError([problem("registry", f"there is no version {words}", hint=hint)])
    return found


def is_words_of_version(words: str, place: Place) -> bool:
    """Whether words may name a version: there are versions, and it could be one's name."""
    match = _WORDS.match(words)
    there = place.file is None or place.file.exists()
    return there and match is not None and is_version_name(match["name"])


def lock_of_version(version: Version, store: Store) -> Lock:
    """Its lock. StoreError where the store has it no more."""
    text = store.blobs.read(version.lock).read_text("utf-8")
    return lock_of(text, f"the lock of {version}")


def promote(
    place: Place,
    words: str,
    alias: str,
    *,
    reason: str = "",
    force: bool = False,
    against: int | None = None,
    about: Map | None = None,
) -> Promotion:
    """Let an alias mean a version, unless the one that it means is better on the version's own test
    rows; with `force` whatever the comparison says. GateError where it is refused, where the alias
    means neither the version nor the one of the number `against`, and where somebody else changed
    it meanwhile. The history keeps the reason, what was compared, and what else is said `about`."""
    _check_alias(alias)
    with opened(place) as registry:
        version = find_version(words, registry)
        number, revision = registry.meant(version.name, alias)
        before = None if number is None else registry.version(version.name, number)
        if against is not None and number not in (against, version.number):
            message = (
                f"{version.name}@{alias} means {before} by now, and not {version.name}:{against}"
            )
            raise GateError([problem("promotion", message, hint="compare with that one")])
        if before == version:
            return Promotion(version=version, alias=alias, before=before, changed=False)
        check_held(version)
        verdict, costs, told = None, Map(), dict(about or {})
        if before is not None:
            verdict, costs, why = _compared(place, before, version)
            refusal = why or _refusal(place, verdict, before, version)
            if refusal and not force:
                hint = "--force REASON promotes it all the same, and the history keeps why"
                raise GateError([problem("promotion", refusal, hint=hint)])
            told |= {"refused": refusal} if refusal else {}
        told |= {"costs": costs}
        told |= {"compared": verdict.to_dict()} if verdict else {}
        _assign(registry, version, alias, revision, "promoted", reason, Map(told))
        return Promotion(
            version=version, alias=alias, before=before, changed=True, verdict=verdict, costs=costs
        )


def rollback(place: Place, name: str, alias: str, reason: str) -> Promotion:
    """Let an alias mean what it meant before; what was taken back is not gone back to. UsageError
    where it meant nothing before."""
    _check_alias(alias)
    with opened(place) as registry:
        number, revision = registry.meant(name, alias)
        earlier = _earlier(registry, name, alias)
        if number is None or earlier is None:
            told = "meant nothing before what it means now" if number else "means nothing"
            message = f"{name}@{alias} {told}"
            hint = f"`mlops-compile registry history --name {name}` tells what happened"
            raise UsageError([problem("registry", message, hint=hint)])
        version, before = registry.version(name, earlier), registry.version(name, number)
        assert version is not None  # the history holds what there is
        check_held(version)
        _assign(registry, version, alias, revision, "rolled back", reason, Map())
        return Promotion(version=version, alias=alias, before=before, changed=True)


def _check_alias(alias: str) -> None:
    if not is_version_name(alias):
        message = f"{alias!r} cannot be an alias"
        hint = "an alias is of letters, digits, `_`, `-` and `.`"
        raise UsageError([problem("registry", message, hint=hint)])


def _earlier(registry: Registry, name: str, alias: str) -> int | None:
    """What an alias meant before, as a stack: promotions put on it, rollbacks take away."""
    stack: list[int] = []
    for event in reversed(registry.history(name, alias)):
        if event.what == "rolled back":
            stack.pop()
        elif event.version is not None:
            stack.append(event.version)
    return stack[-2] if len(stack) > 1 else None


def _assign(
    registry: Registry,
    version: Version,
    alias: str,
    revision: int,
    what: What,
    reason: str,
    about: Map,
) -> None:
    from mlops_compile.registry.registry import Lost

    try:
        registry.assign(
            *(version.name, alias, version.number),
            revision=revision,
            what=what,
            reason=reason,
            about=about,
        )
    except Lost as lost:
        now = lost.version or registry.meant(version.name, alias)[0]
        message = f"somebody else made {version.name}@{alias} mean version {now} meanwhile"
        raise GateError([problem("promotion", message, hint="compare with that one")]) from None


# Comparing


def _compared(place: Place, old: Version, new: Version) -> tuple[Verdict | None, Map, str]:
    """Two versions on the new one's test rows, what they cost, or why they cannot be compared."""
    store = place.state.store
    try:
        sides = [_measured(version, store) for version in (old, new)]
        costs = _costs(*sides)
        try:
            return _verdict(place, *sides), costs, ""
        except (ValueError, ProblemsError) as error:
            return None, costs, _why_not(old, new, error)
    except (CompileError, StoreError) as error:
        return None, Map(), _why_not(old, new, error)
    finally:
        store.close()


def _why_not(old: Version, new: Version, error: Exception) -> str:
    problems = error.problems if isinstance(error, ProblemsError) else ()
    why = "; ".join(item.message for item in problems) or str(error)
    return f"{old} and {new} cannot be compared: {why}"


def _measured(version: Version, store: Store) -> Measured:
    lock = lock_of_version(version, store)
    return Measured(lock=lock, made=made_of(lock, store))


def _costs(old: Measured, new: Measured) -> Map:
    """What both cost, as a review tells it: old and new by name, where both are known."""
    found = {moved.name.replace(" ", "_"): (moved.old, moved.new) for moved in costs_of(old, new)}
    return Map({name: pair for name, pair in found.items() if None not in pair})


def _verdict(place: Place, old: Measured, new: Measured) -> Verdict:
    """Both on the new one's test rows: as they were evaluated, where these are the rows of both;
    else on those that the old one did not learn from, as its service answers them now."""
    from mlops_compile.emit.answering import answers_of  # numpy and pyarrow, where compared
    from mlops_compile.steps.evaluation import MetricOptions
    from mlops_compile.steps.versus import (
        answers_in,
        rows_in,
        same_rows,
        scores_in,
        unseen,
        versus,
    )

    store, contract = place.state.store, new.lock.contract
    if (old.lock.contract.task, old.lock.contract.classes) != (contract.task, contract.classes):
        raise ValueError("they answer with other classes")
    judged = criteria_of(new.lock)
    before, after = (output_of(one, store, "evaluate", "predictions") for one in (old, new))
    tables = [output_of(one, store, "validate", "table") for one in (old, new)]
    mine = answers_in(after, contract.classes, threshold_of(facts_of(new, store)))
    if tables[0] == tables[1] and same_rows(before, after):
        theirs = replace(mine, predicted=scores_in(before))
    else:
        rows, asked = rows_in(after), old.lock.contract.to_dict()
        learned = [output_of(old, store, "split", part) for part in ("train", "validation")]
        columns = [field.name for field in contract.request]
        places = unseen(tables[1], rows, tables[0], learned, columns)
        if len(places) < LEAST_ROWS:
            few = f"{len(places):,} of the {len(rows):,} test rows are new to the one that is there"
            raise ValueError(f"only {few}")
        with tempfile.TemporaryDirectory() as room:
            bundle = Path(room) / "bundle"
            with written(bundle):
                store.blobs.checkout(bundle_of(old), bundle)
            mine = mine.take(places)
            predicted = answers_of(bundle, asked, tables[1], rows[places])
            theirs = replace(mine, predicted=predicted)
    theirs = replace(theirs, decision=threshold_of(facts_of(old, store)))
    return versus(
        str(judged["primary"]),
        theirs,
        mine,
        level=place.stated.confidence,
        options=from_value(MetricOptions, judged.get("options", Map())),
    )


def output_of(one: Measured, store: Store, kind: str, port: str) -> Path:
    """The verified file of an output. StoreError where the store has it not."""
    return store.blobs.read(_digest_of(one, kind, port))


def bundle_of(one: Measured) -> Digest:
    return _digest_of(one, "package", "bundle")


def _digest_of(one: Measured, kind: str, port: str) -> Digest:
    """StoreError where the store has no result of the plan's own step of a kind."""
    action = one.own(kind)
    digest = dict(action.outputs).get(port) if action else None
    if digest is None:
        message = f"the store has no {port} of plan {one.lock.digest[:12]} (step {kind})"
        hint = "make it again: mlops-compile run --plan FILE, with the lock of its run"
        raise StoreError([problem("store", message, hint=hint)])
    return digest


def facts_of(one: Measured, store: Store) -> Map:
    """What the bundle says of itself."""
    files = dict(store.blobs.tree(bundle_of(one)))
    found = parse(store.blobs.read(files["bundle.json"]).read_bytes())
    assert isinstance(found, Map)
    return found


def threshold_of(facts: Map) -> float | None:
    found = facts.get("threshold")
    return float(found) if isinstance(found, int | float) else None


def _refusal(place: Place, verdict: Verdict | None, old: Version, new: Version) -> str:
    """Why a version may not take another's place; nothing where it may."""
    if verdict is None:
        return ""
    interval = "" if verdict.low is None else f" ({verdict.low:+.4g} to {verdict.high:+.4g})"
    said = (
        f"{verdict.metric} of {new} is {verdict.new:.4g}, of {old} {verdict.old:.4g}"
        f" on the same {verdict.rows:,} test rows{interval}"
    )
    if verdict.worse:
        return f"{said}: it is worse"
    if place.stated.promote == "better" and not verdict.better:
        return f"{said}: it is not surely better, as registry.promote asks for"
    return ""
