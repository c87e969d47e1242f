"""Steps of one pattern of names, `fold/1/train` to `fold/5/train`, shown as one: `fold/*/train`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mlops_compile.ir.plan import own_name

if TYPE_CHECKING:
    from mlops_compile.compiler.effects import Effect
    from mlops_compile.ir.record import StepResult

_NUMBER = re.compile(r"(?<=[a-z_]/)\d+(?=/|\b)")
_REPEATED = re.compile(r"(\S+/\*/\w+)(?:, \1)+")
_MANY = 3  # steps of a pattern that are shown as one
_WIDTH = 10


def pattern(text: str) -> str:
    """A step's name, or a sentence with names of steps, with stars for numbers."""
    return _REPEATED.sub(r"\1", _NUMBER.sub("*", text))


def effect_rows(found: Iterable[Effect]) -> list[tuple[str, str, str]]:
    """A row an effect: name, effect and reason; steps of one pattern and reason share one."""
    alike: dict[tuple[str, str, str], list[Effect]] = {}
    for effect in found:
        key = (pattern(effect.step.name), effect.effect, pattern(effect.reason))
        alike.setdefault(key, []).append(effect)
    rows: list[tuple[str, str, str]] = []
    for (name, what, reason), held in alike.items():
        if len(held) >= _MANY:
            rows.append((name, what, f"{len(held)} steps: {reason}"))
        else:
            rows += [(each.step.name, what, _short(each.reason)) for each in held]
    return rows


def sweep_rows(found: Iterable[Effect]) -> list[tuple[str, str]]:
    """A row for each step of a point, in order: how many distinct ones there are of each effect."""
    counts: dict[str, Counter[str]] = {}
    for effect in found:
        counts.setdefault(pattern(own_name(effect.step.name)), Counter())[effect.effect] += 1
    return [
        (
            name,
            ", ".join(f"{held[what]:,} {what}" for what in ("run", "maybe", "hit") if held[what]),
        )
        for name, held in counts.items()
    ]


def _short(reason: str) -> str:
    """A reason in which steps are listed one by one only where they are few."""
    folded = pattern(reason)
    return folded if folded.count(",") < reason.count(",") else reason


class Endings:
    """How the steps of a plan ended, in lines: those of one pattern are told as one, once the last
    of them has ended. A failed step is told at once, too."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        counts = Counter(map(pattern, names))
        self._left = {name: count for name, count in counts.items() if count >= _MANY}
        self._ended: dict[str, dict[str, StepResult]] = {name: {} for name in self._left}
        shown = [name if name in self._left else "" for name in counts]
        shown += [name for name in names if pattern(name) not in self._left]
        self.width = max([_WIDTH, *map(len, shown)])

    def lines(self, result: StepResult) -> list[str]:
        """What is to be told now that a step has ended."""
        name = pattern(result.step)
        ended = self._ended.get(name)
        if ended is None or result.step in ended:  # made again, because it was damaged
            return [self.line(result)]
        ended[result.step] = result
        told = [self.line(result)] if result.status == "failed" else []
        if len(ended) == self._left[name]:
            told.append(self._together(name, [*ended.values()]))
        return told

    def line(self, result: StepResult) -> str:
        """How one step ended."""
        text = self._row(result.step, result.status, [result])
        return f"{text}  {result.error}".rstrip() if result.status == "skipped" else text.rstrip()

    def _together(self, name: str, results: list[StepResult]) -> str:
        counts = Counter(result.status for result in results)
        ((status, _), *others) = counts.most_common()
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        tail = listed if others else f"{len(results)} steps"
        return f"{self._row(name, status, results)}  {tail}"

    def _row(self, name: str, status: str, results: Sequence[StepResult]) -> str:
        worked = [result for result in results if result.status in ("ran", "failed")]
        seconds = f"{sum(result.seconds for result in worked):7.2f} s" if worked else ""
        most = max((result.memory for result in worked), default=0)
        memory = f"{most / 2**20:6,.0f} MiB" if most else ""
        if len(results) > 1:
            seconds, memory = f"{seconds:9}", f"{memory:10}"
        return f"{name:<{self.width}} {status:<8} {seconds}  {memory}"
