"""Overrides as Hydra's grammar wants them, from what people write."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""'[^'\\]*'|"[^"\\]*\"""")
_SPECIAL = re.compile(r"[\\()\[\]{}:=,\s]")


def plain_override(text: str, groups: frozenset[str]) -> str:
    """An override that sets a plain value, so that it also sets what no file lists.

    `model.params.max_depth=3` becomes `++model.params.max_depth=3`; choices of groups, and what
    begins with `+` or `~`, stay as they are.
    """
    text = bare_keys(text)
    key, equals, _ = text.partition("=")
    if not equals or not key or key[0] in "+~" or "@" in key or "/" in key:
        return text
    return text if key in groups or key.partition(".")[0] == "hydra" else f"++{text}"


def bare_keys(text: str) -> str:
    """An override whose quoted map keys are written as Hydra's grammar wants them: bare, escaped.

    `data.columns={"pm2.5": {role: ignore}}` becomes `data.columns={pm2.5: {role: ignore}}`.
    """
    done, rest = "", text
    while match := _QUOTED.search(rest):
        before, quoted = rest[: match.start()], match[0]
        after = rest[match.end() :]
        opens = before.rstrip()[-1:] in ("{", ",") and after.lstrip().startswith(":")
        done += before + (_escaped(quoted[1:-1]) if opens else quoted)
        rest = after
    return done + rest


def _escaped(key: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], key)
