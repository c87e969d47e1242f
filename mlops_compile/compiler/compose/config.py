"""Composes: Hydra's config of a project becomes plain values, interpolations resolved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mlops_compile.compiler.compose.chosen import check_files
from mlops_compile.compiler.compose.entries import no_self
from mlops_compile.compiler.compose.grammar import check_overrides
from mlops_compile.compiler.compose.origins import located, places_of
from mlops_compile.compiler.compose.overrides import given_overrides, open_keys
from mlops_compile.compiler.compose.places import with_places
from mlops_compile.compiler.compose.purity import impure, unfrozen
from mlops_compile.compiler.compose.refusals import refusals
from mlops_compile.compiler.compose.resolving import unresolved
from mlops_compile.compiler.compose.search_path import (
    config_directory,
)
from mlops_compile.compiler.compose.versions import BASE
from mlops_compile.compiler.upgrade import upgrade
from mlops_compile.ir.config import CONFIG_NAME, Composition, Config
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import Map, freeze


def compose(overrides: tuple[str, ...], project: Path, config_name: str = CONFIG_NAME) -> Config:
    """The config of a project with overrides, by Hydra's compose API.

    CompileError says in a sentence what Hydra refuses.
    """
    directory = str(config_directory(project))
    composition = Composition(
        config_name=config_name, search_path=(directory,), overrides=overrides
    )
    composition = with_places(composition, project)
    before = HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with located(composition), refusals(composition), open_keys():
            check_overrides(composition)
            check_files(composition)
            given = [text for text, _ in given_overrides(composition)]
            with initialize_config_dir(directory, **BASE):
                composed = hydra_compose(config_name, overrides=given, return_hydra_config=True)
                HydraConfig.instance().set_config(composed)
                with open_dict(composed):
                    del composed["hydra"]  # as for a job
                return to_config(composed, composition)
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = before


def to_config(config: DictConfig, composition: Composition) -> Config:
    """Resolved plain values of a composed config, without `hydra`, in today's format."""
    if problems := tuple(impure(config, composition)):
        told = {found.where for found in problems}
        others = (found for found in unresolved(config) if found.where not in told)
        raise CompileError((*problems, *others))
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
