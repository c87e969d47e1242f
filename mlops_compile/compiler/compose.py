"""Compose: Hydra's config becomes plain values; only this and cli/front.py know Hydra."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mlops_compile.compiler.read import suggest
from mlops_compile.ir.config import Composition, Config
from mlops_compile.ir.problem import CompileError, Origin, Problem, problem
from mlops_compile.ir.resources import resource
from mlops_compile.ir.value import Map, freeze

CONFIG_NAME = "config"
_IMPURE = ("now", "oc.env", "oc.decode", "hydra", "python_version", "oc.create", "oc.deprecated")
_QUOTED = re.compile(r"""'[^'\\]*'|"[^"\\]*\"""")
_SPECIAL = re.compile(r"[\\()\[\]{}:=,\s]")
_PURE = ("oc.select", "oc.dict.keys", "oc.dict.values")


class BuiltInGroups(SearchPathPlugin):
    """Adds the built-in config groups behind the user's own conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("mlops_compile", f"file://{resource('conf')}")


def config_directory(project: Path) -> Path:
    """The project's conf/, or the built-in one where it has none."""
    own = project / "conf"
    return own.resolve() if own.is_dir() else resource("conf")


def register_groups() -> None:
    """Make the built-in groups known to Hydra in this process."""
    Plugins.instance().register(BuiltInGroups)


def compose(overrides: tuple[str, ...], project: Path, config_name: str = CONFIG_NAME) -> Config:
    """The config of a project with overrides, by Hydra's compose API.

    CompileError says in a sentence what Hydra refuses.
    """
    register_groups()
    directory = config_directory(project)
    GlobalHydra.instance().clear()
    try:
        with refusals(), initialize_config_dir(str(directory), version_base="1.3"):
            groups = group_names(project)
            given = [plain_override(text, groups) for text in overrides]
            config = hydra_compose(config_name, overrides=given)
            return to_config(config, (str(directory),), overrides, config_name)
    finally:
        GlobalHydra.instance().clear()


def group_names(project: Path) -> frozenset[str]:
    """The config groups: folders of the project's conf/ and of the built-in one."""
    places = (config_directory(project), resource("conf"))
    return frozenset(path.name for place in places for path in place.iterdir() if path.is_dir())


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


def to_config(
    config: DictConfig, search_path: tuple[str, ...], overrides: tuple[str, ...], config_name: str
) -> Config:
    """Resolved plain values of a composed config, without `hydra`."""
    if problems := tuple(_impure(config)):
        raise CompileError(problems)
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    composition = Composition(config_name=config_name, search_path=search_path, overrides=overrides)
    problems = tuple(_unfrozen(plain, ()))
    if problems:
        raise CompileError(problems)
    values = freeze(plain)
    assert isinstance(values, Map)
    return Config(values=values, composition=composition)


def _unfrozen(plain: object, where: tuple[str, ...]) -> Iterator[Problem]:
    """Every value that has no canonical form, with its key."""
    if isinstance(plain, Mapping):
        for key, item in plain.items():
            if not isinstance(key, str):
                hint = "quote it: YAML reads a bare No, On or 1 as something else than text"
                yield problem("key", f"the key {key!r} is not text", (*where, str(key)), hint)
            else:
                yield from _unfrozen(item, (*where, key))
    elif isinstance(plain, list):
        for position, item in enumerate(plain):
            yield from _unfrozen(item, (*where, str(position)))
    else:
        try:
            freeze(plain)
        except ValueError as error:
            yield problem("value", str(error), where)


def _impure(config: DictConfig) -> Iterator[Problem]:
    """Interpolations outside `hydra` by which the same files could give another config."""
    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    raw.pop("hydra", None)
    for where, text in _texts(raw, ()):
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


def _resolvers(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        head = part.split("}")[0]
        name, colon, _ = head.partition(":")
        if colon:
            yield name.strip()


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what Hydra, OmegaConf and YAML refuse into problems; nothing of theirs escapes."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except YAMLError as error:
        raise CompileError([_yaml_problem(error)]) from error
    except UnicodeDecodeError as error:
        message = f"a config file is not UTF-8: {error}"
        raise CompileError([problem("encoding", message)]) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise CompileError([_hydra_problem(error)]) from error
    except (ValueError, TypeError, AttributeError) as error:  # Hydra checks some things by these
        message = f"Hydra cannot compose this: {error}"
        raise CompileError([problem("compose", message)]) from error
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _yaml_problem(error: YAMLError) -> Problem:
    mark: Any = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error)
    if mark is None:
        return problem("yaml", what)
    origin = Origin(source=shown_path(str(mark.name)), line=mark.line + 1, column=mark.column + 1)
    return Problem(code="yaml", message=f"this is not YAML: {what}", origin=origin)


def _hydra_problem(error: Exception) -> Problem:
    deepest: BaseException = error
    while isinstance(deepest, HydraException) and deepest.__cause__ is not None:
        deepest = deepest.__cause__
    if isinstance(deepest, YAMLError):
        return _yaml_problem(deepest)
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _missing_group(error)
    if isinstance(error, OverrideParseException):
        return _override_problem(error)
    where: tuple[str, ...] = ()
    text = str(error)
    if isinstance(deepest, OmegaConfBaseException):
        where = tuple(str(deepest.full_key).split(".")) if deepest.full_key else ()
        text = str(deepest.msg or deepest)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    hint = _HINTS.get(type(deepest).__name__, "")
    if match := re.match(r"Multiple values for (\S+)\.", text):
        hint = f"{match[1]} has its place in the defaults list: write {match[1]}=NAME, without a +"
    return problem("compose", "\n  ".join(lines[:3]) or type(error).__name__, where, hint)


def _missing_group(error: MissingConfigException) -> Problem:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = tuple(str(option) for option in error.options or ())
    message = f"there is no {name!r} in the group {group!r}" if group else f"there is no {name!r}"
    return problem("no-option", message, (group,) if group else (), suggest(name, options))


def _override_problem(error: OverrideParseException) -> Problem:
    """The override as it was written, with a caret where it stops making sense."""
    full = str(error.override)
    text = full.removeprefix("++")
    lines = str(error).splitlines()
    start = next((line.index(full) for line in lines if full in line), 0) + len(full) - len(text)
    column = next((len(line) - 1 - start for line in lines if line.strip() == "^"), -1)
    caret = f"\n  {text}\n  {' ' * column}^" if column >= 0 else f": {text}"
    message = f"this override cannot be parsed{caret}"
    return problem("override", message, hint=_HINTS["OverrideParseException"])


_HINTS = {
    "InterpolationKeyError": "an interpolation ${...} names a key that the config does not have",
    "OverrideParseException": (
        "quote a value that holds spaces, commas, brackets or comparisons: key='\">= 0.9\"'"
    ),
}


def shown_path(path: str) -> str:
    """A path as people know it: relative to the working directory where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
