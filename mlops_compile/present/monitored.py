"""What monitoring found, as text and as markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.value import Map, pick
from mlops_compile.present.review_markdown import escaped
from mlops_compile.present.words import counted, number, visible

# What a person looks for, by kind of finding.
TITLES: Mapping[str, str] = {
    "volume": "Volume",
    "type": "Types",
    "missing": "Missing values",
    "range": "Ranges",
    "unseen": "Unseen levels",
    "drift": "Drift",
    "dataset": "Drift of the data set",
    "score": "Drift of what is answered",
    "truth": "Drift of what is true",
    "estimate": "Estimated performance",
    "performance": "Performance",
    "segment": "Performance of segments",
    "latency": "Latency",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was looked at: the model, the window's ends as texts, its rows, what was read of the log
    and the feedback, and what was found."""

    name: str
    start: str
    end: str
    rows: int
    read: Map
    findings: tuple[Finding, ...]

    @property
    def alerts(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.alert)


def headline(looked: Looked) -> str:
    """How it stands, in a sentence."""
    rows = f"{counted(looked.rows, 'row')} from {looked.start} to {looked.end}"
    alerts, others = looked.alerts, pick(looked.read, ("log", "other_models"))
    if not looked.rows and others:
        rows += f", and {others:,} that other models answered: is it this one that is served?"
    if not alerts:
        return f"no alert: {rows}"
    kinds = dict.fromkeys(TITLES[finding.kind].lower() for finding in alerts)
    return f"{counted(len(alerts), 'alert')} ({', '.join(kinds)}): {rows}"


def read_lines(looked: Looked) -> Iterator[str]:
    """What was met in the log and the feedback that a person should know of."""
    log, feedback = looked.read["log"], looked.read["feedback"]
    assert isinstance(log, Map) and isinstance(feedback, Map)
    told = {
        "broken": "that are none",
        "other_models": "of other models",
        "repeated": "whose id a later one has",
    }
    odd = [f"{log[name]:,} {words}" for name, words in told.items() if log[name]]
    if odd:
        yield f"lines of the log that do not count: {', '.join(odd)}"
    if not feedback["lines"]:
        yield "there is no feedback"
        return
    told = {
        "corrected": "corrected",
        "repeated": "said again",
        "broken": "broken lines",
        "other": "that are no class of the model",
        "unknown": "of ids that no prediction has",
    }
    ids = feedback["ids"]
    assert isinstance(ids, int)
    odd = [f"{feedback[name]:,} {words}" for name, words in told.items() if feedback[name]]
    parts = [f"truths of {counted(ids, 'id')}, {feedback['labelled']:,} in this window", *odd]
    yield f"feedback: {', '.join(parts)}"


def monitor_text(looked: Looked) -> Iterator[tuple[str, str]]:
    """Lines, each with how it is to be shown: alert, plain, soft or head."""
    yield "head", f"{visible(looked.name)}: {headline(looked)}"
    for finding in looked.alerts:
        yield "alert", f"  ! {visible(finding.message)}"
    rest = [finding for finding in looked.findings if not finding.alert]
    for kind, title in TITLES.items():
        held = [finding for finding in rest if finding.kind == kind and _is_told(finding)]
        if not held:
            continue
        yield "head", title
        for finding in held[:MOST]:
            yield "plain", f"  {visible(finding.message)}"
        if len(held) > MOST:
            yield "soft", f"  and {len(held) - MOST} more; --json has all"
    for line in read_lines(looked):
        yield "soft", line


MOST = 8


def _is_told(finding: Finding) -> bool:
    """Whether a finding says more than that all is well: a measure without a threshold is for
    documents."""
    if finding.kind in ("estimate", "performance", "volume", "latency", "dataset"):
        return True
    reached = finding.threshold is not None and finding.value is not None
    return finding.value is None or (reached and _near(finding))


def _near(finding: Finding) -> bool:
    assert finding.threshold is not None and finding.value is not None
    usual = finding.reference or 0.0 if finding.kind == "missing" else 0.0
    allowed = finding.threshold - usual
    return allowed > 0 and finding.value - usual >= allowed / 2


def monitor_markdown(looked: Looked) -> str:
    """A comment for an issue or a chat."""
    lines = [f"### {_prose(looked.name)}: {headline(looked)}", ""]
    lines += [f"- **{_prose(finding.message)}**" for finding in looked.alerts]
    lines += [""] if looked.alerts else []
    rows = [finding for finding in looked.findings if finding.value is not None]
    if rows:
        lines += ["<details><summary>All findings</summary>", ""]
        lines += [
            "| | of | test | value | alert from | before |",
            "| --- | --- | --- | --: | --: | --: |",
        ]
        lines += [_row(finding) for finding in rows[:200]]
        lines += [f"| | {len(rows) - 200} more | | | | |"] if len(rows) > 200 else []
        lines += ["", "</details>", ""]
    lines += [f"{_prose(line)}  " for line in read_lines(looked)]
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    cells = [
        "❗" if finding.alert else "",
        f"{TITLES[finding.kind]}{f': {finding.feature}' if finding.feature else ''}",
        finding.test,
        number(finding.value) if finding.value is not None else "",
        number(finding.threshold) if finding.threshold is not None else "",
        number(finding.reference) if finding.reference is not None else "",
    ]
    return f"| {' | '.join(_prose(cell) for cell in cells)} |"


def _prose(text: str) -> str:
    """A text in which nothing is markup."""
    return escaped(visible(text))
