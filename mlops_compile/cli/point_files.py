"""Directories of the points of a multirun, with the files that Hydra keeps of each job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import configure_log
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import OmegaConfDumper

from mlops_compile.compiler.compose.points import Point, set_values


def make_directory(point: Point, number: int) -> Path:
    """Make the directory that the config gives a point, with `.hydra/` in it."""
    config, own = point.composed, point.composed.hydra
    set_values(config, point.settings)
    with read_write(own), open_dict(own):
        own.job.num = number
        own.job.id = str(number)
        own.overrides.task = list(point.overrides)
        own.job.override_dirname = _dirname(point.overrides, own)
    HydraConfig.instance().cfg = cast(Any, config)  # `set_config` would copy all of it
    place = OmegaConf.select(config, "hydra.sweep.dir")
    directory = Path(str(place), str(OmegaConf.select(config, "hydra.sweep.subdir"))).absolute()
    with read_write(own):
        own.runtime.output_dir = str(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if own.output_subdir is not None:
        _write(directory / str(own.output_subdir), config)
    return directory


def log_into(directory: Path, config: DictConfig, context: HydraContext) -> None:
    """Log what the whole multirun does as the config says of a job."""
    own = config.hydra
    with read_write(own):
        own.runtime.output_dir = str(directory)
    HydraConfig.instance().set_config(config)
    # Hydra 1.4 asks who may be called by a logging config.
    allowed = getattr(context, "execution_whitelist", None)
    more = {} if allowed is None else {"execution_whitelist": allowed}
    configure_log(own.job_logging, own.verbose, **more)


def _dirname(overrides: Sequence[str], own: DictConfig) -> str:
    """The overrides as the name of a directory, in the way of `hydra.job.config`."""
    how = own.job.config.override_dirname
    kept = [text for text in overrides if _parsed(text).key_or_group not in how.exclude_keys]
    return str(how.item_sep.join(sorted(kept))).replace("=", how.kv_sep)


@cache
def _parsed(text: str) -> Override:
    return OverridesParser.create().parse_override(text)


def _write(folder: Path, config: DictConfig) -> None:
    folder.mkdir(exist_ok=True)
    raw: Any = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    own = raw.pop("hydra")
    kept = {"config": raw, "hydra": {"hydra": own}, "overrides": own["overrides"]["task"]}
    for name, value in kept.items():
        (folder / f"{name}.yaml").write_text(_text(value), "utf-8")


def _text(value: Any) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False
    )


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes as OmegaConf does, which reads more texts as numbers than YAML; in C, if there is."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, OmegaConfDumper.str_representer)
