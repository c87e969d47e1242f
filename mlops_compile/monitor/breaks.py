"""Breaks: what is no change of a distribution but something that went wrong: missing values, types,
numbers and levels that the data had not, too few or too many rows, late answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from mlops_compile.ir.finding import Finding
from mlops_compile.ir.reference import ColumnReference, Reference
from mlops_compile.monitor.corrected import holm
from mlops_compile.monitor.observed import Column, Window
from mlops_compile.monitor.words import moment, rows_of, share, short
from mlops_compile.steps.monitoring import Monitor

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """`count` of `rows` of a column in the window, and what was so in the reference's: `before` of
    `whole` rows. `what` says what they are in words."""

    kind: str
    name: str
    count: int
    rows: int
    before: int
    whole: int
    threshold: float
    what: str

    @property
    def now(self) -> float:
        return self.count / self.rows

    @property
    def was(self) -> float:
        return self.before / self.whole if self.whole else 0.0

    @property
    def p(self) -> float:
        """Fisher's exact test, one-sided: how likely are so many in the window, if rows were dealt
        to window and reference by accident."""
        total, so = self.rows + self.whole, self.count + self.before
        return float(np.clip(hypergeom.sf(self.count - 1, total, so, self.rows), 0, 1))


def breaks(reference: Reference, window: Window, monitor: Monitor) -> list[Finding]:
    """What is missing, unseen, out of range or of another type in each column."""
    shares = [
        one
        for before, after in zip(reference.columns, window.columns, strict=True)
        if after.rows
        for one in _shares(before, after, monitor)
    ]
    tested = [one for one in shares if one.kind != "type"]
    corrected = holm([one.p for one in tested])
    found = [_told(one, None, monitor) for one in shares if one.kind == "type"]
    return found + [_told(one, p, monitor) for one, p in zip(tested, corrected, strict=True)]


def volume(window: Window, monitor: Monitor) -> Finding:
    """How many rows a day were answered."""
    a_day = window.rows / window.days
    least, most = monitor.least_volume, monitor.most_volume
    few = least is not None and (a_day < least or not window.rows)
    many = most is not None and a_day > most
    message = f"{rows_of(window.rows)} in {window.days:.4g} days: {a_day:.4g} a day"
    if few or many:
        message += f", {'less' if few else 'more'} than {least if few else most:.4g}"
    return Finding(
        kind="volume",
        test="rows_a_day",
        value=a_day,
        threshold=most if many or least is None else least,
        alert=few or many,
        message=message,
    )


def latency(window: Window, monitor: Monitor) -> Iterator[Finding]:
    """The 99th percentile of the seconds of an answer, where the log tells them."""
    if not len(window.seconds):
        return
    seconds = float(np.quantile(window.seconds, 0.99))
    most = monitor.most_seconds
    slow = most is not None and seconds > most
    message = f"99 of 100 answers took at most {seconds:.4g} s"
    if most is not None:
        message += f" ({most:.4g} s allowed)"
    yield Finding(
        kind="latency", test="p99", value=seconds, threshold=most, alert=slow, message=message
    )


def _shares(before: ColumnReference, after: Column, monitor: Monitor) -> Iterator[_Share]:
    held, had = after.rows - after.missing - after.wrong, before.rows - before.missing
    facts, asked = {"name": before.name}, monitor.breaks
    yield _Share(
        kind="type",
        count=after.wrong,
        rows=after.rows,
        before=0,
        whole=before.rows,
        threshold=asked.type,
        what=f"are no value of the type {before.kind}",
        **facts,
    )
    yield _Share(
        kind="missing",
        count=after.missing,
        rows=after.rows,
        before=before.missing,
        whole=before.rows,
        threshold=asked.missing,
        what="are missing",
        **facts,
    )
    if before.sensitive or not held or not had:
        return
    if before.is_number:
        if before.low is None or before.high is None or (before.is_time and not monitor.times):
            return
        show = moment if before.is_time else "{:.4g}".format
        beyond = (after.numbers < before.low) | (after.numbers > before.high)
        yield _Share(
            kind="range",
            count=int(beyond.sum()),
            rows=held,
            before=0,
            whole=had,
            threshold=asked.range,
            what=f"are beyond {show(before.low)} to {show(before.high)}",
            **facts,
        )
    elif not before.other:
        known = {level for level, _ in before.levels}
        new = {level: rows for level, rows in after.levels.items() if level not in known}
        most = sorted(new, key=lambda level: (-new[level], level))[:_MOST_NAMED]
        named = f" ({', '.join(map(short, most))})" if most else ""
        yield _Share(
            kind="unseen",
            count=sum(new.values()),
            rows=held,
            # Good and Turing: of the next rows, as large a share has a new level as has, of the
            # data, a level that no other row has.
            before=sum(rows == 1 for _, rows in before.levels),
            whole=had,
            threshold=asked.unseen,
            what=f"are levels that the data had not{named}",
            **facts,
        )


def _told(one: _Share, p: float | None, monitor: Monitor) -> Finding:
    """An alert where the share has grown by the threshold, and by no accident, as a value of
    another type never is."""
    grown = one.now - one.was
    far = grown > 0 and grown >= one.threshold
    alert = far and (p is None or p < monitor.drift.significance)
    allowed = share(one.threshold)
    message = f"{one.name}: {share(one.now)} of {rows_of(one.rows)} {one.what}"
    if one.kind == "missing":
        message += f", {share(one.was)} in the data ({allowed} more allowed)"
    elif one.was:
        message += f", and {share(one.was)} were to be expected ({allowed} more allowed)"
    else:
        message += f" ({allowed} allowed)"
    if far and not alert:
        message += f", which may be an accident (p {p:.4g})"
    return Finding(
        kind=one.kind,
        feature=one.name,
        test="share",
        value=one.now,
        threshold=one.was + one.threshold,
        reference=one.was,
        p=p,
        alert=alert,
        message=message,
    )
