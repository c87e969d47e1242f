"""Overrides: Hydra's grammar, with what people write beyond it and without what is not fixed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, Sweep
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mlops_compile.compiler.compose.search_path import loader_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem

QUOTED = re.compile(r"""'[^'\\]*'|"[^"\\]*\"""")
_SPECIAL = re.compile(r"[\\()\[\]{}:=,\s]")
_EXPERIMENT = re.compile(r"\+?experiment=")


class RefusedOverrides(HydraException):
    """What Hydra says of each override that it cannot apply, beside the override it was given."""

    def __init__(self, errors: Sequence[tuple[str, HydraException]]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for _, error in errors))


def given_overrides(composition: Composition) -> tuple[tuple[str, str], ...]:
    """What Hydra is given for each override, beside the override as it was written."""
    return tuple((_placed(bare_keys(text), composition), text) for text in composition.overrides)


def parsed(text: str) -> Override | None:
    """An override by Hydra's grammar; None where it does not parse."""
    try:
        return OverridesParser.create().parse_override(bare_keys(text))
    except (HydraException, RecursionError):
        return None


def options_in(override: Override, known: tuple[str, ...]) -> tuple[str, ...]:
    """The options of a group (`known`: all of them) that an override names."""
    value: Any = override.value()
    if isinstance(value, Glob):
        return tuple(value.filter(list(known)))
    names = value.list if isinstance(value, ChoiceSweep) else [value]
    flat = [part for name in names for part in (name if isinstance(name, list) else [name])]
    texts = (part.text if isinstance(part, QuotedString) else part for part in flat)
    return tuple(text for text in texts if isinstance(text, str))


@contextmanager
def open_keys() -> Iterator[None]:
    """Inside, a plain `key=value` also sets a key that no file lists.

    Hydra has no setting for it. Writing `++` in front would take knowing which keys are groups, and
    would stand in `hydra.overrides` and in the names of sweep directories; so the one step that
    applies overrides runs on a config that takes new keys.
    """
    apply = ConfigLoaderImpl._apply_overrides_to_config

    def applied(overrides: list[Override], config: DictConfig) -> None:
        errors: list[tuple[str, HydraException]] = []
        for override in overrides:
            try:
                if override.is_hydra_override():
                    apply([override], config)
                else:
                    with open_dict(config):
                        apply([override], config)
            except HydraException as error:
                errors.append((override.input_line or "", error))
        if errors:
            raise RefusedOverrides(errors)
        if problems := tuple(shuffled(_sweeper_params(config))):
            raise CompileError(problems)

    _replace(applied)
    try:
        yield
    finally:
        _replace(apply)


def shuffled(overrides: Sequence[str]) -> Iterator[Problem]:
    """Overrides that call `shuffle`, which gives another order each time."""
    for text in overrides:
        override = _calls(text, "shuffle") if "shuffle" in text else None
        if override is not None:
            what = "a sweep's points have" if _sweeps(override) else "a list in a config has"
            yield Problem(
                code="impure",
                where=tuple(override.key_or_group.split(".")),
                message=f"{what} a fixed order",
                hint="leave shuffle out",
                origin=Origin.of_override(text, text.index("=") + 1),
            )


def _replace(apply: Callable[[list[Override], DictConfig], None]) -> None:
    # mypy: a method is assigned, and meant.
    ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply)  # type: ignore[assignment, method-assign]


def _sweeper_params(config: DictConfig) -> tuple[str, ...]:
    """The sweep that stands in the config, as overrides."""
    params = OmegaConf.select(config, "hydra.sweeper.params", throw_on_missing=False)
    plain = OmegaConf.to_container(params, resolve=True) if OmegaConf.is_dict(params) else {}
    assert isinstance(plain, dict)
    return tuple(f"{key!s}={value!s}" for key, value in plain.items())


def _placed(text: str, composition: Composition) -> str:
    """`experiment=NAME` and `+experiment=NAME` both, whether the defaults list names the group."""
    written = [item for item in composition.overrides if _EXPERIMENT.match(item)]
    if not _EXPERIMENT.match(text) or len(written) > 1:
        return text
    others = [bare_keys(item) for item in composition.overrides if item not in written]
    try:
        loader = loader_of(composition.search_path)
        found = loader.compute_defaults_list(composition.config_name, others, RunMode.MULTIRUN)
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError):
        return text  # composing tells what is wrong
    listed = "experiment" in found.overrides.known_choices
    return text.removeprefix("+") if listed else f"+{text.removeprefix('+')}"


def _sweeps(override: Override) -> bool:
    return isinstance(override.value(), Sweep)


def _calls(text: str, function: str) -> Override | None:
    """The override if it calls a function of the grammar anywhere, else None."""
    parser = OverridesParser.create()
    original = parser.functions.functions[function]
    calls: list[str] = []

    def called(*values: Any, **named: Any) -> Any:
        calls.append(function)
        return original(*values, **named)

    parser.functions.functions[function] = called
    try:
        override = parser.parse_override(bare_keys(text))
    except HydraException:
        return None  # composing tells where it cannot be parsed
    return override if calls else None


def bare_keys(text: str) -> str:
    """An override whose quoted map keys are written as Hydra's grammar wants them: bare, escaped.

    `data.columns={"pm2.5": {role: ignore}}` becomes `data.columns={pm2.5: {role: ignore}}`.
    """
    done, rest = "", text
    while match := QUOTED.search(rest):
        before, quoted = rest[: match.start()], match[0]
        after = rest[match.end() :]
        opens = before.rstrip()[-1:] in ("{", ",") and after.lstrip().startswith(":")
        done += before + (_escaped(quoted[1:-1]) if opens else quoted)
        rest = after
    return done + rest


def _escaped(key: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], key)
