"""Few cases in which every few values of different axes meet that may: greedy covering arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

Case = Mapping[str, str]
Allowed = Callable[[Case], bool]


def covering(
    axes: Mapping[str, Sequence[str]], strength: int, allowed: Allowed = lambda case: True
) -> list[dict[str, str]]:
    """Cases such that each choice of values of `strength` axes stands in one, if any case has it.

    A case has a value of each axis, and every part of it is `allowed` (which judges parts of cases,
    and refuses a whole where it refuses a part). The same axes always give the same cases.
    """
    missing = dict.fromkeys(
        part
        for names in itertools.combinations(axes, strength)
        for values in itertools.product(*(axes[name] for name in names))
        if completed(axes, dict(part := tuple(zip(names, values, strict=True))), allowed)
    )
    cases = []
    while missing:
        case = _next(axes, strength, allowed, missing)
        for part in itertools.combinations(case.items(), strength):
            missing.pop(part, None)
        cases.append(case)
    return cases


def completed(
    axes: Mapping[str, Sequence[str]], part: Case, allowed: Allowed
) -> dict[str, str] | None:
    """A whole case that has these values, with the first ones that are allowed; None: there is
    none."""
    if not allowed(part):
        return None
    free = next((name for name in axes if name not in part), None)
    if free is None:
        return {name: part[name] for name in axes}
    cases = (completed(axes, {**part, free: value}, allowed) for value in axes[free])
    return next((case for case in cases if case is not None), None)


def _next(
    axes: Mapping[str, Sequence[str]],
    strength: int,
    allowed: Allowed,
    missing: Mapping[tuple[tuple[str, str], ...], None],
) -> dict[str, str]:
    """A case around the first missing part; each further value is the one with which the most
    missing parts stand in it."""
    order = {name: place for place, name in enumerate(axes)}
    case = dict(next(iter(missing)))
    uses = dict.fromkeys(axes, 0)
    for part in missing:
        for name, _ in part:
            uses[name] += 1
    for name in sorted((name for name in axes if name not in case), key=lambda n: (-uses[n], n)):

        def gain(value: str, name: str = name) -> int:
            parts = itertools.combinations(case.items(), strength - 1)
            whole = (
                sorted([*part, (name, value)], key=lambda item: order[item[0]]) for part in parts
            )
            return sum(tuple(part) in missing for part in whole)

        fitting = (v for v in axes[name] if completed(axes, {**case, name: v}, allowed))
        case[name] = max(fitting, key=gain)
    return {name: case[name] for name in axes}
