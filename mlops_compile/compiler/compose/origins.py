"""Origins: every setting of each key of a composed config; made only when asked for.

Hydra says which files a config is composed of, in which order and at which packages; their YAML
nodes say where each key stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ResultDefault
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError, safe_load

from mlops_compile.compiler.compose.choices import Choices
from mlops_compile.compiler.compose.interpolations import sources_of
from mlops_compile.compiler.compose.marks import Marks, file_marks, override_marks
from mlops_compile.compiler.compose.overrides import given_overrides, parsed
from mlops_compile.compiler.compose.search_path import loader_of
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin, Setting, Settings
from mlops_compile.ir.problem import CompileError, Problem, with_origins
from mlops_compile.ir.value import KeyPath, dotted

# What Hydra raises where files cannot be composed: `refusals` tells of it.
_REFUSED = (
    HydraException,
    OmegaConfBaseException,
    OSError,
    RecursionError,
    ValueError,
    TypeError,
    AttributeError,
    YAMLError,
)

_PARAMS = ("model", "params")


@contextmanager
def located(composition: Composition) -> Iterator[None]:
    """Problems raised inside get the file and line, or the override, that set their key."""
    try:
        yield
    except CompileError as error:
        raise CompileError(places_of(error.problems, composition)) from error


def places_of(problems: tuple[Problem, ...], composition: Composition) -> tuple[Problem, ...]:
    """Problems with the file and line, or the override, that set their key, sorted by these."""
    if all(found.origin is not None or not found.where for found in problems):
        return with_origins(problems, {})  # files that were refused are not read again
    settings = settings_of(composition)
    written = (_as_written(_taken(found, settings), settings) for found in problems)
    return tuple(_with_note(found, settings) for found in with_origins(written, settings))


def _with_note(found: Problem, settings: Settings) -> Problem:
    """A value that is wrong with where it comes from, if an interpolation takes it."""
    sources = sources_of(found.where, settings)
    if not sources or found.of.mark == "key" or found.code in ("interpolation", "impure"):
        return found
    name, source = sources[-1]
    return replace(found, note=f"the value comes from {dotted(name)}, {source.value}")


def _taken(found: Problem, settings: Settings) -> Problem:
    """What is missing since an override took it away: with what to do about that."""
    for depth in range(1, len(found.where) + 1):
        made = settings.get(found.where[:depth], ())
        if made and made[-1].removed and found.origin is None:
            text = made[-1].value.text
            return replace(found, origin=made[-1].value, hint=f"leave {text} out")
    return found


def _as_written(found: Problem, settings: Settings) -> Problem:
    """A key that YAML reads as no text (`No` is False), or a parameter by another of its library's
    names, as it stands in its file."""
    if found.where in settings or not (found.code == "key" or found.where[:2] == _PARAMS):
        return found
    *around, read = found.where
    aliases = _aliases(read) if len(found.where) == 3 and found.code != "key" else ()
    for path in settings:
        if path[:-1] != tuple(around):
            continue
        if path[-1] in aliases or (found.code == "key" and str(safe_load(path[-1])) == read):
            return replace(found, where=path)
    return found


def _aliases(name: str) -> tuple[str, ...]:
    """The other names of a family's parameter."""
    from mlops_compile.steps.families import FAMILIES  # only on the way to an error
    from mlops_compile.steps.families.parameters import parameters

    known = (item for family in FAMILIES for item in parameters(family) if item.name == name)
    return tuple(alias for item in known for alias in item.aliases)


def settings_of(composition: Composition) -> Settings:
    """Every setting of each key of a composed config: keys of maps as well as leaves.

    Where the files cannot be composed, only overrides are known: an origin is a help, never a
    condition.
    """
    return SettingsOf().of(composition)


class SettingsOf:
    """The settings of compositions that have their search path in common, as the points of a sweep
    have: the files that the same choices come to are read once."""

    def __init__(self) -> None:
        self._loader: ConfigLoaderImpl | None = None
        self._files: dict[tuple[str, ...], tuple[_Found, frozenset[str]]] = {}

    def of(self, composition: Composition) -> Settings:
        """As `settings_of`."""
        self._loader = self._loader or loader_of(composition.search_path)
        choosing = tuple(text for text in composition.overrides if self._may_choose(text))
        if choosing not in self._files:
            self._files[choosing] = _of_files(composition, self._loader)
        files, chosen = self._files[choosing]
        found = files.copy()
        for text in composition.overrides:
            if text not in chosen or text.startswith("~"):
                found.add_all(override_marks(text))
        return {**found.settings, **_renamed(found.settings, composition.renamed)}

    def _may_choose(self, text: str) -> bool:
        """Whether an override may say which files there are."""
        assert self._loader is not None
        override = parsed(text)
        return override is None or self._loader.repository.group_exists(override.key_or_group)


def _of_files(composition: Composition, loader: ConfigLoaderImpl) -> tuple[_Found, frozenset[str]]:
    """The settings of a composition's files, and the overrides that choose files and set no value;
    as far as these files can be composed."""
    found = _Found()
    try:
        overrides = [given for given, _ in given_overrides(composition)]
        listed = loader.compute_defaults_list(composition.config_name, overrides, RunMode.RUN)
        choices = Choices.of(listed.defaults, loader, composition.overrides)
        for default in listed.defaults:
            if default.config_path and not default.config_path.startswith("hydra/"):
                _add_file(found, loader, default, choices)
    except _REFUSED:
        return found, frozenset()  # the refusal itself says where
    return found, choices.overrides


def _renamed(
    settings: Settings, renamed: tuple[tuple[KeyPath, KeyPath], ...]
) -> dict[KeyPath, tuple[Setting, ...]]:
    """The settings of keys of an older format, under today's names too."""
    return {
        (*new, *path[len(old) :]): made
        for old, new in renamed
        for path, made in settings.items()
        if path[: len(old)] == old
    }


def _add_file(
    found: _Found, loader: ConfigLoaderImpl, default: ResultDefault, choices: Choices
) -> None:
    package = tuple(part for part in (default.package or "").split(".") if part)
    if package == ("_global_",):
        package = ()
    marks = file_marks(loader, str(default.config_path))
    if marks is None:
        return
    choice, chosen = choices.get(str(default.config_path))
    for depth in range(1, len(package) + 1):
        if package[:depth] not in found.settings:
            top = Origin(source=marks.file, line=1)
            found.add(package[:depth], Setting(key=top, value=top, written="", choice=choice))
    found.add_all(marks.below(package, choice, chosen))


class _Found:
    """Settings as they come: what replaces a list or a map forgets what stood below it."""

    def __init__(self) -> None:
        self.settings: dict[KeyPath, tuple[Setting, ...]] = {}
        self._parents: set[KeyPath] = set()

    def copy(self) -> _Found:
        """Another one that knows the same."""
        other = _Found()
        other.settings, other._parents = dict(self.settings), set(self._parents)
        return other

    def add_all(self, marks: Marks) -> None:
        for path, setting in marks.settings:
            if path in marks.replaced and path in self._parents:
                self._forget_below(path)
            self.add(path, setting)

    def add(self, path: KeyPath, setting: Setting) -> None:
        earlier = self.settings.get(path, ())
        if setting.removed:
            self._forget_below(path)
        if setting.removed or (earlier and earlier[-1].removed):
            earlier = ()
        self.settings[path] = (*earlier, setting)
        self._parents.update(path[:depth] for depth in range(1, len(path)))

    def _forget_below(self, path: KeyPath) -> None:
        below = [key for key in self.settings if len(key) > len(path) and key[: len(path)] == path]
        for key in below:
            del self.settings[key]
