"""Once: Hydra's entry composes a config twice, the first time for `hydra.mode` alone; here it is
composed once where that key is not set, which the same composition tells.

Where it is set, or the config cannot be composed, Hydra goes its own way; so does Hydra 1.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

# Overrides that may set the key, or all that it stands in.
_SETS_MODE = re.compile(r"[+~]*hydra(?:\.mode|[@=]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What Hydra asks its loader for; the loader is known by identity."""

    config_name: str | None
    overrides: tuple[str, ...]
    run_mode: RunMode
    from_shell: bool = True
    validate_sweep_overrides: bool = True


@contextmanager
def composed_once(multirun: bool) -> Iterator[None]:
    """Inside, Hydra's entry composes the config of a run, or of a `multirun`, once."""
    get_mode, load = Hydra.get_mode, ConfigLoaderImpl.load_configuration
    ahead: list[tuple[_Asked, ConfigLoaderImpl, DictConfig]] = []

    def mode(
        self: Hydra, config_name: str | None, overrides: list[str], *more: Any, **named: Any
    ) -> Any:
        likely = RunMode.MULTIRUN if multirun else RunMode.RUN
        is_known = not more and not named  # Hydra 1.4 tells more, and goes its own way
        if is_known and not any(map(_SETS_MODE.match, overrides)):
            asked = _Asked(
                config_name=config_name,
                overrides=(*overrides, f"hydra.mode={likely.name}"),  # as Hydra will ask
                run_mode=likely,
            )
            loader = self.config_loader
            assert isinstance(loader, ConfigLoaderImpl)
            found = _without_mode(loader, asked)
            if found is not None:
                ahead.append((asked, loader, found))
                return None
        return get_mode(self, config_name, overrides, *more, **named)

    def loaded(self: ConfigLoaderImpl, *given: Any, **named: Any) -> DictConfig:
        if ahead:
            asked, loader, found = ahead.pop()
            named_alike = {**named, "overrides": tuple(named.get("overrides", ()))}
            if loader is self and not given and _Asked(**named_alike) == asked:
                return found
        return load(self, *given, **named)

    Hydra.get_mode = mode  # type: ignore[method-assign]
    ConfigLoaderImpl.load_configuration = loaded  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = get_mode  # type: ignore[method-assign]
        ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign]


def _without_mode(loader: ConfigLoaderImpl, asked: _Asked) -> DictConfig | None:
    """The config that is asked for; None where a file sets `hydra.mode`, or where it cannot be
    composed: Hydra will tell why."""
    apply = ConfigLoaderImpl._apply_overrides_to_config
    stated: list[object] = []

    def applied(overrides: Sequence[Override], config: DictConfig) -> None:
        node = config.hydra._get_node("mode")
        stated.append(None if node is None else node._value())
        apply(list(overrides), config)

    ConfigLoaderImpl._apply_overrides_to_config = staticmethod(applied)  # type: ignore[assignment, method-assign]
    try:
        found = loader.load_configuration(
            config_name=asked.config_name,
            overrides=list(asked.overrides),
            run_mode=asked.run_mode,
        )
    except Exception:
        return None
    finally:
        ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply)  # type: ignore[method-assign]
    return found if stated == [None] else None
