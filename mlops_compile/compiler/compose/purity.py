"""What of a composed config no plan could hold: impure interpolations, values without a form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from omegaconf import DictConfig, OmegaConf

from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.value import freeze

_PURE = ("oc.select", "oc.dict.keys", "oc.dict.values")
# A key of Hydra's own config; of these only the options that were chosen belong to the config.
_HYDRA = re.compile(r"\s*(?:oc\.select\s*:\s*)?hydra(?:\.|:(?!runtime\.choices\b))[\w.]+")


def unfrozen(plain: object, where: tuple[str, ...]) -> Iterator[Problem]:
    """Every value that has no canonical form, with its key."""
    if isinstance(plain, Mapping):
        for key, item in plain.items():
            if not isinstance(key, str):
                hint = "quote it: YAML reads a bare No, On or 1 as something else than text"
                yield problem("key", f"the key {key!r} is not text", (*where, str(key)), hint)
            else:
                yield from unfrozen(item, (*where, key))
    elif isinstance(plain, list):
        for position, item in enumerate(plain):
            yield from unfrozen(item, (*where, str(position)))
    else:
        try:
            freeze(plain)
        except ValueError as error:
            yield problem("value", str(error), where)


def impure(config: DictConfig) -> Iterator[Problem]:
    """Interpolations outside `hydra` by which the same files could give another config."""
    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    raw.pop("hydra", None)
    for where, text in _texts(raw, ()):
        for name in _of_the_run(text):
            message = f"${{{name}}} is of one run of Hydra, so no plan can hold it"
            hint = "only ${hydra:runtime.choices.GROUP} of it belongs to a config; write the value"
            yield problem("impure", message, where, hint)
        for name in _resolvers(text):
            if name not in _PURE:
                message = (
                    f"${{{name}:...}} may give another value each time, so no plan can hold it"
                )
                hint = "write the value, or pass it as an override"
                yield problem("impure", message, where, hint)


def _texts(plain: object, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(plain, dict):
        for key, item in plain.items():
            yield from _texts(item, (*where, str(key)))
    elif isinstance(plain, list):
        for position, item in enumerate(plain):
            yield from _texts(item, (*where, str(position)))
    elif isinstance(plain, str) and "${" in plain:
        yield where, plain


def _of_the_run(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        if match := _HYDRA.match(part):
            yield match[0].strip()


def _resolvers(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        head = part.split("}")[0]
        name, colon, _ = head.partition(":")
        if colon and name.strip() != "hydra":
            yield name.strip()
