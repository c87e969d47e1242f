"""The keys under `improve`: when a model is made anew from what was learned, and what becomes of
the new one."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_compile.ir.schema import group, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """`improve.triggers`: what makes a challenger worth while; any of them is enough."""

    drift: bool = key(
        "an alert of `monitor` about what is asked or answered", default=True, place=True
    )
    performance: bool = key(
        "an alert of `monitor` about how good the answers are", default=True, place=True
    )
    rows: int | None = key(
        "so many labelled rows that the champion does not know", default=None, low=1, place=True
    )
    days: float | None = key(
        "so many days since the champion was registered", default=None, low=0, place=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Improve:
    """`improve`: the loop from a service's log and feedback to the next version. None of it enters
    a step."""

    policy: str = key(
        "what becomes of a challenger that wins: review (it is left for a person, as the alias"
        " `challenger`), or promote",
        default="review",
        choices=("review", "promote"),
        place=True,
    )
    triggers: Triggers = group("what makes a challenger worth while", Triggers)
    least_rows: int = key(
        "new labelled rows that a challenger needs", default=200, low=10, place=True
    )
    recent: float = key(
        "share of the new labelled rows, the latest, that both are compared on and the challenger"
        " does not learn from",
        default=0.3,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
        place=True,
    )
    most_share: float = key(
        "most live rows to learn from, as a share of all rows to learn from",
        default=0.5,
        low=0,
        high=1,
        low_open=True,
        high_open=True,
        place=True,
    )
    source: str | None = key(
        "the column of a request that says where a row comes from; else its day",
        default=None,
        filled=True,
        place=True,
    )
    most_source: float = key(
        "most rows of one source, as a share of the live rows to learn from",
        default=0.25,
        low=0,
        high=1,
        low_open=True,
        place=True,
    )
    old_rows: float = key(
        "how much worse a challenger may be on the old test rows, as a share of the champion's"
        " metric",
        default=0.02,
        low=0,
        place=True,
    )
