"""Waivers: reasoned exceptions of a review, each for one pair of plans. They are in no lock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, cast

from mlops_compile.compiler.read import Reader, known
from mlops_compile.compiler.spec import StatedWaiver, Waivers
from mlops_compile.ir.review import Waiver
from mlops_compile.ir.value import KeyPath, Map

_WHERE: KeyPath = ("review", "waivers")
_DIGEST = re.compile(r"[0-9a-f]{12,64}")


def check_waivers(reader: Reader, review: Waivers) -> None:
    """What of waivers cannot be."""
    for number, waiver in enumerate(review.waivers if known(review, review.waivers) else ()):
        for name in ("old", "new") if known(waiver) else ():
            digest, where = getattr(waiver, name), (*_WHERE, str(number), name)
            if known(digest) and not _DIGEST.fullmatch(digest):
                message = f"must be 12 to 64 of the digits 0-9 and a-f, not {digest!r}"
                hint = "`mlops-compile diff` shows the digests of both plans"
                reader.complain("wrong-value", message, where, hint)


def stated_waivers(values: Map) -> tuple[StatedWaiver, ...]:
    """Those of a composed config that passed its checks."""
    return Reader().group(Waivers, values.get("review") or Map(), _WHERE[:1]).waivers


def waivers_for(stated: Iterable[StatedWaiver], old: str, new: str) -> tuple[Waiver, ...]:
    """All waivers of a config, for two plans by their digests: `used` are those for this pair; the
    others are stale, or for a change that is yet to come."""
    return tuple(
        Waiver(
            what=cast(Literal["contract", "gates"], waiver.what),
            old=waiver.old,
            new=waiver.new,
            reason=waiver.reason,
            used=old.startswith(waiver.old) and new.startswith(waiver.new),
        )
        for waiver in stated
    )
