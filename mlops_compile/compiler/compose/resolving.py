"""Interpolations that cannot be resolved: every one, with what it leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlops_compile.compiler.compose.interpolations import names_in
from mlops_compile.compiler.compose.purity import texts_of
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import KeyPath, dotted

_VARIABLE = re.compile(r"Environment variable '(.+?)' not found")
_TOO_DEEP = re.compile(r"Error resolving key '(\.+[^']+)'")
# What OmegaConf puts in front of what a resolver says.
_RAISED = re.compile(r"\A\w+ (?:raised )?while resolving interpolation: ")
_NO_KEY = re.compile(r"Interpolation key '(.+?)' not found")


def unresolved(config: DictConfig) -> Iterator[Problem]:
    """A problem for each value whose interpolation fails; of a circle, for its first value."""
    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    raw.pop("hydra", None)
    texts = dict(texts_of(raw, ()))
    known = tuple(dotted(path) for path in _paths(raw, ()))
    told: set[KeyPath] = set()
    for path, text in texts.items():
        circle = _circle(path, texts)
        if circle:
            if not told & set(circle):
                message = f"leads back to itself: {' -> '.join(map(dotted, circle))}"
                yield problem("interpolation", message, path, "write one of the values out")
            told.update(circle)
            continue
        try:
            OmegaConf.select(config, _select(path), throw_on_resolution_failure=True)
        except OmegaConfBaseException as error:
            message, hint = _words(str(error.msg or error), text, known)
            yield problem("interpolation", message, path, hint)


def _words(said: str, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    if match := _VARIABLE.search(said):
        name = match[1]
        hint = f"set it, or give a value for where it is not: ${{oc.env:{name},VALUE}}"
        return f"the environment variable {name} is not set", hint
    if match := _NO_KEY.search(said):
        name = match[1]
        message = f"there is no key {name} for ${{{name}}} to stand for"
        if re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            hint = f"an environment variable is ${{oc.env:{name}}}, with env: [{name}] declared"
            return message, hint
        if ends := [path for path in known if path.endswith(f".{name}")]:
            return message, f"write the whole key: ${{{ends[0]}}}"
        around, _, last = name.rpartition(".")
        ahead = f"{around}." if around else ""
        beside = [path.removeprefix(ahead) for path in known if path.startswith(ahead)]
        names = tuple(path for path in beside if "." not in path)
        return message, suggest(last, names, f"keys of {around}" if around else "keys")
    if match := _TOO_DEEP.search(said):
        message = f"${{{match[1]}}} goes further up than there are maps around it"
        hint = f"each dot in front goes up one map; ${{{match[1].lstrip('.')}}} begins at the top"
        return message, hint
    return _RAISED.sub("", said.splitlines()[0]), ""


def _circle(path: KeyPath, texts: dict[KeyPath, str]) -> list[KeyPath]:
    """The way from a value back to itself; empty if there is none."""
    ways = [[path]]
    seen: set[KeyPath] = set()
    while ways:
        way = ways.pop()
        for name in names_in(texts[way[-1]], way[-1]):
            if name == path:
                return [*way, path]
            if name in texts and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def _paths(plain: object, where: KeyPath) -> Iterator[KeyPath]:
    if isinstance(plain, dict):
        for key, item in plain.items():
            yield (*where, str(key))
            yield from _paths(item, (*where, str(key)))


def _select(path: KeyPath) -> str:
    return path[0] + "".join(f"[{part}]" for part in path[1:])
