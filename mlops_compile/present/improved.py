"""What came of improving a model, as text and as a report for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_compile.ir.improved import Improved
from mlops_compile.ir.review import Review
from mlops_compile.ir.value import Map, Value
from mlops_compile.present.review_markdown import escaped, markdown
from mlops_compile.present.words import number

_MOST = 45_000  # characters of the plan's diff


def improved_text(found: Improved) -> Iterator[str]:
    """Lines for a terminal."""
    for trigger in found.triggers:
        yield f"asked for: {trigger}"
    if found.status == "quiet":
        yield f"{found.champion} stays: nothing asks for another model"
        yield f"new labelled rows: {found.rows:,}"
        return
    if found.status == "waiting":
        yield f"{found.champion} stays: {found.rows:,} new labelled rows ({found.needed:,} needed)"
        return
    result = found.result
    if found.status == "done":
        yield f"round {found.round} is closed: nothing new since"
    yield from _lines(result)
    yield f"report: {found.report}"


def _lines(result: Map) -> Iterator[str]:
    """How a round ended."""
    old, new = result["champion"], result.get("challenger")
    for name, words in (("old", "old test rows"), ("recent", "recent rows")):
        verdict = _verdict(result, name)
        if verdict is not None:
            yield f"{words}: {_compared(verdict)}"
    match result["status"]:
        case "promoted":
            yield f"{new} is the champion in place of {old}: {result['why']}"
        case "review":
            yield f"{new} wins against {old}, and is left for review: {result['why']}"
            yield f"to take it: mlops-compile registry promote {new}"
        case _:
            yield f"{old} stays: {result['why']}"


def _verdict(result: Map, name: str) -> Map | None:
    contest = result.get("contest")
    found = contest.get(name) if isinstance(contest, Map) else None
    return found if isinstance(found, Map) else None


def _compared(verdict: Map) -> str:
    text = f"{verdict['metric']} {number(verdict['old'])} -> {number(verdict['new'])}"
    text += f" on {verdict['rows']:,} rows"
    low, high = verdict["low"], verdict["high"]
    if isinstance(low, float) and isinstance(high, float):
        text += f" (difference {low:+.4g} to {high:+.4g})"
    return text


def improved_markdown(result: Map, review: Review) -> str:
    """A report: how it ended, why it began, on what rows, and what the plan changes."""
    data = result["data"]
    assert isinstance(data, Map)
    old, new = result["champion"], result.get("challenger") or "a challenger"
    titles = {
        "promoted": f"{new} takes the place of {old}",
        "review": f"{new} wins against {old}, and is left for review",
    }
    lines = [f"## {titles.get(str(result['status']), f'{new} does not win against {old}')}"]
    lines += ["", *(f"- {escaped(line)}" for line in _lines(result)), ""]
    triggers = result["triggers"]
    assert isinstance(triggers, tuple)
    lines += ["**Asked for by**", "", *(f"- {escaped(str(trigger))}" for trigger in triggers), ""]
    lines += ["**Data**", "", "| rows | |", "| --: | --- |"]
    lines += [f"| {count:,} | {words} |" for count, words in _counts(data)]
    return "\n".join(lines) + "\n\n" + markdown(review, _MOST)


def _counts(data: Map) -> Iterator[tuple[int, str]]:
    words = {
        "base": "of the champion's data, each in the part in which it was",
        "live": "labelled live rows that are new to it",
        "recent": "of these, the latest, kept out to compare on",
        "learned": "of the others, learned from or tested on",
        "capped": "of the others, left out by the caps on sources",
    }
    for name, text in words.items():
        yield _whole(data[name]), text
    for part, count in _items(data["parts"]):
        yield count, f"live rows in the part `{part}`"
    for why, count in _items(data["left_out"]):
        if count:
            yield count, f"lines left out: {why}"


def _items(value: Value) -> Iterator[tuple[str, int]]:
    assert isinstance(value, Map)
    yield from ((name, _whole(count)) for name, count in value.items())


def _whole(value: Value) -> int:
    assert isinstance(value, int)
    return value
