"""What an operator gives a service at its start: by flags, or by the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROLES = ("predict", "feedback", "admin")
SWITCH = {"1": True, "true": True, "0": False, "false": False}
# Flags with the variables that hold the same, what they are, and what is usual.
FLAGS = (
    ("host", "MLOPS_HOST", str, "127.0.0.1", "address to listen on"),
    ("port", "MLOPS_PORT", int, 8000, "port to listen on"),
    ("workers", "MLOPS_WORKERS", int, 0, "worker processes below one that replaces them; 0: none"),
    ("bundle", "MLOPS_BUNDLE", str, "", "the bundle, or a link to it; SIGHUP looks at it again"),
    ("bundles", "MLOPS_BUNDLES", str, "", "directory of the bundles to swap to by /admin/swap"),
    ("log", "MLOPS_LOG", str, "", "directory for predictions and feedback; else none are kept"),
    ("drain", "MLOPS_DRAIN", float, 0.0, "seconds to go on accepting once it is told to stop"),
    ("grace", "MLOPS_GRACE", float, 30.0, "seconds for what was accepted before that"),
    ("unproved", "MLOPS_UNPROVED", bool, False, "serve where this host answers otherwise (proof.json)"),
)


class Unusable(Exception):
    """Settings that a service cannot be started with; the text says which."""


@dataclass(frozen=True)
class Settings:
    """See FLAGS; `tokens` are secrets by role, `hash_key` is the key of hashed columns."""

    host: str
    port: int
    workers: int
    bundle: str
    bundles: str
    log: str
    drain: float
    grace: float
    unproved: bool
    tokens: Mapping[str, bytes]
    hash_key: bytes


def variables(words: list[str], environment: Mapping[str, str], about: str) -> dict[str, str]:
    """The variables that the flags of a command line set; exits with 2 for a wrong one."""
    parser = argparse.ArgumentParser(description=about, allow_abbrev=False)
    for name, variable, kind, usual, text in FLAGS:
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_const", const="1", help=text)
            continue
        help_ = f"{text} ({environment.get(variable, usual)})" if usual != "" else text
        parser.add_argument(f"--{name}", type=kind, metavar=name.upper(), help=help_)
    given = vars(parser.parse_args(words))
    return {variable: str(given[name]) for name, variable, *_ in FLAGS if given[name] is not None}


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment holds. Unusable where one is wrong."""
    found = {}
    for name, variable, kind, usual, _ in FLAGS:
        text = environment.get(variable, "")
        try:
            found[name] = (SWITCH[text] if kind is bool else kind(text)) if text else usual
        except (KeyError, ValueError):
            wanted = "1 or 0" if kind is bool else "a number"
            raise Unusable(f"{variable} must be {wanted}, not {text!r}") from None
    for name in ("port", "workers", "drain", "grace"):
        if not 0 <= found[name] <= 65535:
            raise Unusable(f"{name} must lie from 0 to 65535, and is {found[name]:g}")
    tokens = {role: _secret(f"MLOPS_TOKEN_{role.upper()}", environment) for role in ROLES}
    return Settings(
        **found,
        tokens={role: token for role, token in tokens.items() if token},
        hash_key=_secret("MLOPS_HASH_KEY", environment),
    )


def _secret(name: str, environment: Mapping[str, str]) -> bytes:
    """A secret: the variable's, or the text of the file that NAME_FILE names; b"" for none."""
    text, file = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    if text and file:
        raise Unusable(f"{name} and {name}_FILE are both given; give one")
    if not file:
        return text.encode("utf-8")
    try:
        found = Path(file).read_bytes().strip()
    except OSError as error:
        raise Unusable(f"{name}_FILE: {file} cannot be read: {error.strerror}") from None
    if not found:
        raise Unusable(f"{name}_FILE: {file} is empty")
    return found
