"""Composes: Hydra's config of a project becomes plain values, interpolations resolved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlops_compile.compiler.compose.grammar import check_overrides
from mlops_compile.compiler.compose.guard import guard
from mlops_compile.compiler.compose.missing import no_self
from mlops_compile.compiler.compose.origins import located, places_of
from mlops_compile.compiler.compose.overrides import plain_override
from mlops_compile.compiler.compose.purity import impure, unfrozen
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.compiler.compose.resolving import unresolved
from mlops_compile.compiler.compose.search_path import (
    config_directory,
    group_names,
    register_groups,
    search_path_of,
)
from mlops_compile.compiler.upgrade import upgrade
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import Map, freeze

CONFIG_NAME = "config"


def compose(overrides: tuple[str, ...], project: Path, config_name: str = CONFIG_NAME) -> Config:
    """The config of a project with overrides, by Hydra's compose API.

    CompileError says in a sentence what Hydra refuses.
    """
    register_groups()
    directory = config_directory(project)
    composition = Composition(
        config_name=config_name, search_path=search_path_of(directory), overrides=overrides
    )
    GlobalHydra.instance().clear()
    try:
        with located(composition), refusals(composition):
            guard(composition.search_path)
            check_overrides(overrides, composition.search_path, many=False)
            groups = group_names(project)
            given = [plain_override(text, groups) for text in overrides]
            with initialize_config_dir(str(directory), version_base="1.3"):
                return to_config(hydra_compose(config_name, overrides=given), composition)
    finally:
        GlobalHydra.instance().clear()


def to_config(config: DictConfig, composition: Composition) -> Config:
    """Resolved plain values of a composed config, without `hydra`, in today's format."""
    if problems := tuple(impure(config, composition.search_path)):
        raise CompileError(problems)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, RecursionError):
        if problems := tuple(unresolved(config)):
            raise CompileError(problems) from None
        raise
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    if problems := tuple(unfrozen(plain, ())):
        raise CompileError(problems)
    values = freeze(plain)
    assert isinstance(values, Map)
    made = upgrade(Config(values=values, composition=composition))
    notes = (*places_of(made.notes, made.composition), *no_self(composition))
    return replace(made, notes=notes)
