"""What of a composed config no plan could hold: impure interpolations, values without a form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlops_compile.compiler.compose.chosen import Chosen
from mlops_compile.compiler.compose.marks import file_node, node_origin, scalars
from mlops_compile.compiler.suggest import nearest, suggest
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem, problem
from mlops_compile.ir.schema import declared
from mlops_compile.ir.value import KeyPath, freeze

# Resolvers that give the same value for the same config.
_PURE = ("oc.select", "oc.dict.keys", "oc.dict.values", "oc.create", "oc.decode", "oc.deprecated")
# A key of Hydra's own config; of these only the options that were chosen belong to the config.
_HYDRA = re.compile(
    r"(?<!\\)(?:\\\\)*\$\{\s*((?:oc\.select\s*:\s*)?hydra(?:\.|:(?!runtime\.choices\b))[\w.]+)"
)
_CHOICE = re.compile(r"(?<!\\)(?:\\\\)*\$\{\s*hydra:runtime\.choices\.([\w/@]+)\s*\}")
# `${name:argument`, but not the escaped `\${`.
_RESOLVER = re.compile(r"(?<!\\)(?:\\\\)*\$\{\s*([A-Za-z_][\w.]*)\s*:\s*([^,}]*)")


def unfrozen(plain: object, where: KeyPath) -> Iterator[Problem]:
    """Every value that has no canonical form, with its key."""
    if isinstance(plain, Mapping):
        for key, item in plain.items():
            if not isinstance(key, str):
                message, hint = "YAML reads this key as a number", f'put it in quotes: "{key}"'
                if isinstance(key, bool):
                    message = f"YAML reads this key as {str(key).lower()}"
                    hint = "put it in quotes, as every bare yes, no, on, off, true and false"
                elif key is None:
                    message, hint = "YAML reads this key as null", "put it in quotes"
                yield problem("key", message, (*where, str(key)), hint)
            else:
                yield from unfrozen(item, (*where, key))
    elif isinstance(plain, list):
        for position, item in enumerate(plain):
            yield from unfrozen(item, (*where, str(position)))
    else:
        try:
            freeze(plain)
        except ValueError as error:
            message, hint = str(error), ""
            if isinstance(plain, float):
                message = "neither infinities nor .nan are values that a plan could hold"
                hint = "write a number, or null for none"
            yield problem("value", message, where, hint)


def impure(config: DictConfig, composition: Composition) -> Iterator[Problem]:
    """Interpolations by which the same files could give another config: in values, in defaults
    lists and in `hydra.searchpath`. Environment variables that `env` names are allowed."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    raw.pop("hydra", None)
    named = raw.get("env")
    declared = tuple(map(str, named)) if isinstance(named, list) else ()
    for where, text in texts_of(raw, ()):
        yield from _complaints(text, declared, where, None)
    yield from impure_lists(composition, declared)


def impure_lists(composition: Composition, declared: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Those of defaults lists and of `hydra.searchpath`, by which Hydra composes, or fails to."""
    for where, text, origin in _hydras_texts(composition):
        yield from _complaints(text, declared, where, origin)


def _complaints(
    text: str, declared: tuple[str, ...], where: KeyPath, origin: Origin | None
) -> Iterator[Problem]:
    for name in _HYDRA.findall(text):
        message = f"${{{name}}} is of one run of Hydra, so no plan can hold it"
        hint = "only ${hydra:runtime.choices.GROUP} of it belongs to a config; write the value"
        yield Problem(code="impure", message=message, where=where, hint=hint, origin=origin)
    for name in _CHOICE.findall(text):
        chosen = tuple(map(str, HydraConfig.get().runtime.choices))
        if name not in chosen:
            message = f"no option of a group {name} is chosen"
            groups = tuple(group for group in chosen if not group.startswith("hydra/"))
            hint = suggest(name, groups, "groups")
            yield Problem(
                code="interpolation", message=message, where=where, hint=hint, origin=origin
            )
    for name, argument in _RESOLVER.findall(text):
        variable = argument.strip()
        if name == "hydra" or name in _PURE or (name == "oc.env" and variable in declared):
            continue
        message = f"${{{name}:...}} may give another value each time, so no plan can hold it"
        hint = "write the value, or pass it as an override"
        if name == "oc.env":
            message = f"the environment variable {variable} is not declared"
            hint = f"declare it at the top of the config, env: [{variable}], or write the value"
            if "$" in variable:
                message = "the name of an environment variable must be written out"
                hint = "write ${oc.env:NAME}, with env: [NAME] at the top of the config"
        elif name == "hydra":
            message = "a value of Hydra's own is another one each time, so no plan can hold it"
            hint = "write the value; a relative path starts at the project"
        elif not OmegaConf.has_resolver(name):
            message = f"there is no resolver {name}"
            known = ("oc.env", *_PURE)
            hint = nearest(name, known) or f"resolvers: {', '.join(known)}"
            if name in _groups() and re.fullmatch(r"[\w.]+", variable):
                hint = f"a key is written with dots: ${{{name}.{variable}}}"
        yield Problem(code="impure", message=message, where=where, hint=hint, origin=origin)


def _groups() -> tuple[str, ...]:
    """The keys at the top of a config."""
    from mlops_compile.compiler.spec import Spec  # only on the way to an error

    return tuple(item.name for item in declared(Spec))


def texts_of(plain: object, where: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text of a plain tree that holds an interpolation, with its key."""
    if isinstance(plain, dict):
        for key, item in plain.items():
            yield from texts_of(item, (*where, str(key)))
    elif isinstance(plain, list):
        for position, item in enumerate(plain):
            yield from texts_of(item, (*where, str(position)))
    elif isinstance(plain, str) and "${" in plain:
        yield where, plain


def _hydras_texts(composition: Composition) -> Iterator[tuple[KeyPath, str, Origin]]:
    """Texts with resolvers in the defaults lists and search paths of the chosen files."""
    for file in Chosen(composition).files:
        data = file.read_bytes()
        if b"${" not in data or (b"defaults" not in data and b"searchpath" not in data):
            continue
        node, lines = file_node(file), data.decode("utf-8").splitlines()
        for where, found in _hydras_nodes(node):
            for scalar in scalars(found):
                if _RESOLVER.search(scalar.value):
                    yield where, scalar.value, node_origin(scalar, file, lines)


def _hydras_nodes(node: Any) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "defaults":
            yield ("defaults",), value
        elif key.value == "hydra" and isinstance(value, yaml.MappingNode):
            inner = (item for name, item in value.value if name.value == "searchpath")
            yield from ((("hydra", "searchpath"), item) for item in inner)
