"""Improved: what came of looking whether a model can be made better."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mlops_compile.ir.value import Map

# quiet: nothing asks for it. waiting: too few new labelled rows. done: this round was closed
# before. gates: the challenger does not meet them. kept: it does not win. review: it wins, and is
# left for a person. promoted: it wins, and is the champion.
Status: TypeAlias = Literal["quiet", "waiting", "done", "gates", "kept", "review", "promoted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved:
    """What came of one call: why a challenger was asked for (`triggers`, sentences), in what
    `round`, the `result` of that round, and where its report lies."""

    name: str
    status: Status
    champion: str
    triggers: tuple[str, ...] = ()
    rows: int = 0
    needed: int = 0
    round: str = ""
    result: Map = field(default_factory=Map)
    report: str = ""

    def to_dict(self) -> Map:
        """As the document that `improve --json` prints."""
        return Map(
            {
                "format": 1,
                "name": self.name,
                "status": self.status,
                "champion": self.champion,
                "triggers": self.triggers,
                "labelled_rows": self.rows,
                "needed_rows": self.needed,
                "round": self.round or None,
                "report": self.report or None,
                "result": self.result if len(self.result) else None,
            }
        )
