"""What Hydra, OmegaConf and YAML refuse, as problems in our own words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mlops_compile.compiler.compose.search_path import directories_of, shown_path
from mlops_compile.compiler.read import suggest
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem, problem

# Hydra checks some things by these: values, flags, plugins that are not there.
_CHECKS = (ValueError, TypeError, AttributeError, ImportError, RuntimeError, AssertionError)


@contextmanager
def refusals(search_path: tuple[str, ...]) -> Iterator[None]:
    """Turns what Hydra, OmegaConf and YAML refuse into problems; nothing of theirs escapes."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except YAMLError as error:
        raise CompileError([_yaml_problem(error)]) from error
    except UnicodeDecodeError as error:
        found = [item for place in directories_of(search_path) for item in _not_utf8(place)]
        raise CompileError(found or [problem("encoding", f"this is not UTF-8: {error}")]) from error
    except RecursionError as error:
        message = "the config is nested too deep, or an interpolation leads back to itself"
        raise CompileError([problem("interpolation", message)]) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise CompileError([_hydra_problem(error)]) from error
    except _CHECKS as error:
        message = f"Hydra cannot compose this: {_said(str(error))}"
        raise CompileError([problem("compose", message)]) from error
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _not_utf8(place: Path) -> Iterator[Problem]:
    """Every config file below a folder that is not UTF-8, with the first line that is not."""
    for file in sorted(place.rglob("*.yaml")):
        for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                message = f"this is not UTF-8: byte 0x{line[error.start]:02x}"
                origin = Origin(source=shown_path(str(file)), line=number, column=error.start + 1)
                hint = "save the file as UTF-8"
                yield Problem(code="encoding", message=message, origin=origin, hint=hint)
                break


def _yaml_problem(error: YAMLError) -> Problem:
    mark: Any = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error)
    if mark is None:
        return problem("yaml", what)
    origin = Origin(
        source=shown_path(str(mark.name)),
        line=mark.line + 1,
        column=mark.column + 1,
        width=1,
        text=_line(str(mark.name), mark.line),
    )
    return Problem(code="yaml", message=f"this is not YAML: {what}", origin=origin)


def _line(file: str, number: int) -> str:
    """A line of a file, for a person to see; nothing where it cannot be had."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return lines[number] if number < len(lines) else ""


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
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        hint = "see where Hydra looked with --info searchpath"
        return problem("no-option", f"there is no config {error.missing_cfg_file!r}", (), hint)
    where: tuple[str, ...] = ()
    text = str(error)
    if isinstance(deepest, OmegaConfBaseException):
        where = tuple(str(deepest.full_key).split(".")) if deepest.full_key else ()
        text = str(deepest.msg or deepest)
    said = _said(text)
    hint = _HINTS.get(type(deepest).__name__, "")
    if match := re.match(r"Multiple values for (\S+)\.", text):
        hint = f"{match[1]} has its place in the defaults list: write {match[1]}=NAME, without a +"
    code = "interpolation" if type(deepest).__name__ in _INTERPOLATION else "compose"
    return problem(code, said or type(error).__name__, where, hint)


def _said(text: str) -> str:
    """What a message says first, without what OmegaConf adds below it."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n  ".join([line for line in lines if not line.strip().startswith(_NOISE)][:3])


def _missing_group(error: MissingConfigException) -> Problem:
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = tuple(str(option) for option in error.options or ())
    message = f"there is no {name!r} in the group {group!r}" if group else f"there is no {name!r}"
    hint = suggest(name, options)
    if group in ("hydra/launcher", "hydra/sweeper") and name != "basic":
        what = group.removeprefix("hydra/")
        hint = f"the {what} {name} comes with a plugin of Hydra that is not installed; {hint}"
    return problem("no-option", message, (group,) if group else (), hint)


def _override_problem(error: OverrideParseException) -> Problem:
    """The override as it was written, marked where it stops making sense."""
    full = str(error.override)
    text = full.removeprefix("++")
    lines = str(error).splitlines()
    start = next((line.index(full) for line in lines if full in line), 0) + len(full) - len(text)
    column = next((len(line) - 1 - start for line in lines if line.strip() == "^"), len(text))
    origin = Origin(source=f"override {text}", column=max(column, 0) + 1, width=1, text=text)
    return Problem(
        code="override",
        message="this override cannot be parsed",
        hint=_HINTS["OverrideParseException"],
        origin=origin,
    )


_INTERPOLATION = ("InterpolationKeyError", "InterpolationResolutionError")
# What OmegaConf adds below its messages.
_NOISE = ("full_key:", "object_type=", "reference_type=")
_HINTS = {
    "InterpolationKeyError": "an interpolation ${...} names a key that the config does not have",
    "OverrideParseException": (
        "quote a value that holds spaces, commas, brackets or comparisons: key='\">= 0.9\"'; "
        "a long text, such as SQL, belongs into a file of conf/"
    ),
}
