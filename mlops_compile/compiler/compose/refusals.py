"""What Hydra, OmegaConf and YAML refuse, as problems in our own words."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import yaml
from hydra.conf import HydraConf
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import parse
from yaml import YAMLError

from mlops_compile.compiler.compose.chosen import Chosen
from mlops_compile.compiler.compose.many import sweeps
from mlops_compile.compiler.compose.marks import file_node, node_origin, scalars
from mlops_compile.compiler.compose.missing import wrong_choices
from mlops_compile.compiler.compose.overrides import RefusedOverrides, given_overrides, parsed
from mlops_compile.compiler.compose.purity import impure_lists
from mlops_compile.compiler.compose.search_path import shown_path
from mlops_compile.compiler.compose.unreadable import unreadable_files, yaml_problem
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.config import Composition
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.value import KeyPath

# Hydra checks some things by these: values, flags, plugins that are not there.
_CHECKS = (ValueError, TypeError, AttributeError, ImportError, RuntimeError, AssertionError)
# What OmegaConf adds below its messages.
_NOISE = ("full_key:", "object_type=", "reference_type=", "Config search path:", "provider=")
_TWICE = re.compile(r"Could not append to config\. An item is already at '(.+?)'")
_ABSENT = re.compile(r"Could not delete from config\. '(.+?)' does not exist")
_OTHER = re.compile(
    r"Could not delete from config\. The value of '(.+?)' is (.*) and not (.*)\.", re.S
)
_NO_MATCH = re.compile(r"Could not delete '(.+?)'\. No match in the defaults list")
_HYDRAS_KEY = re.compile(r"full_key: (hydra\.\S+)")
_SWEEP = re.compile(r"^Ambiguous value for argument|^Sweep parameters ")
_NOT_IN = re.compile(r"Key '(.+?)' (?:is )?not in '(.+?)'")


@contextmanager
def refusals(composition: Composition) -> Iterator[None]:
    """Turns what Hydra, OmegaConf and YAML refuse into problems; nothing of theirs escapes."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with warnings.catch_warnings():
            # `no_self` says it with the place.
            warnings.filterwarnings("ignore", ".*Defaults list is missing `_self_`")
            with _interrupts():
                yield
    except (YAMLError, UnicodeDecodeError) as error:
        raise CompileError(_unreadable(error, composition)) from error
    except RecursionError as error:
        with suppress(RecursionError):
            if found := wrong_choices(composition):
                raise CompileError(found) from error
        message = "the config is nested too deep, or an interpolation leads back to itself"
        raise CompileError([problem("interpolation", message)]) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise CompileError(_hydra_problems(error, composition)) from error
    except BrokenPipeError:  # whoever reads our answer went away
        raise
    except OSError as error:
        message = f"the config cannot be read: {error.strerror or error}"
        name = f": {shown_path(str(error.filename))}" if error.filename else ""
        raise CompileError([problem("compose", message + name)]) from error
    except _CHECKS as error:
        message = f"Hydra cannot compose this: {_said(str(error))}"
        wrong = wrong_choices(composition)
        raise CompileError(wrong or [problem("compose", message)]) from error
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def _interrupts() -> Iterator[None]:
    """Lets an interrupt out that OmegaConf has buried: it cleans up, fails at that, and raises an
    error of its own, which is none of the config."""
    outer = sys.exception()  # whoever calls may be on the way from an interrupt of before
    try:
        yield
    except Exception as error:
        before: BaseException | None = error
        while before is not None and before is not outer:
            if isinstance(before, KeyboardInterrupt):
                raise before from None
            before = before.__context__
        raise


def _unreadable(error: Exception, composition: Composition) -> list[Problem]:
    """Every file that cannot be read, or the one that Hydra stopped at."""
    if found := list(unreadable_files(composition.search_path)):
        return found
    if isinstance(error, YAMLError):
        return [yaml_problem(error)]
    return [problem("encoding", f"this is not UTF-8: {error}")]


def _hydra_problems(error: Exception, composition: Composition) -> list[Problem]:
    if isinstance(error, RefusedOverrides):
        written, found = dict(given_overrides(composition)), []
        for given, one in error.errors:
            known = _of_an_override(str(one), written.get(given, given))
            found += [known] if known else _hydra_problems(one, composition)
        return found
    deepest: BaseException = error
    while isinstance(deepest, HydraException) and deepest.__cause__ is not None:
        deepest = deepest.__cause__
    if isinstance(deepest, YAMLError | UnicodeDecodeError):
        return _unreadable(deepest, composition)
    if isinstance(deepest, GrammarParseError) and (found := list(_braces(composition))):
        return found
    text = str(error)
    if _SWEEP.search(text) and (many := list(sweeps(composition))):
        return many
    if not isinstance(deepest, OmegaConfBaseException):
        if choices := wrong_choices(composition):
            return list(choices)
    if group := _NO_MATCH.search(text):
        return [_not_chosen(group[1])]
    if (key := _HYDRAS_KEY.search(text)) and (name := _NOT_IN.search(text)):
        return [_no_hydras_key(tuple(key[1].split(".")), name[1], composition)]
    if "interpolation" in text and (impure := list(impure_lists(composition))):
        return impure
    said = _in_its_words(error, deepest)
    return [said if said.where else replace(said, origin=_named(text, composition))]


def _no_hydras_key(where: KeyPath, name: str, composition: Composition) -> Problem:
    """A key of `hydra` that a file sets and Hydra does not have."""
    kind: Any = OmegaConf.structured(HydraConf)
    around = OmegaConf.select(kind, ".".join(where[1:-1])) if where[1:-1] else kind
    hint = suggest(name, tuple(map(str, around)) if around is not None else ())
    origin = None
    for file in Chosen(composition).files:
        node: Any = file_node(file)
        for depth, part in enumerate(where, start=1):
            pairs = node.value if isinstance(node, yaml.MappingNode) else ()
            key, node = next((pair for pair in pairs if pair[0].value == part), (None, None))
            if key is not None and depth == len(where):
                origin = node_origin(key, file, file.read_text("utf-8").splitlines())
    message = "Hydra has no such key"
    return Problem(code="unknown-key", message=message, where=where, hint=hint, origin=origin)


def _of_an_override(text: str, written: str) -> Problem | None:
    """What Hydra says of one override that it cannot apply, as it was written."""
    if other := _OTHER.search(text):
        key, held, said = other.groups()
        message = f"{key} is {held}, not {said}, so this takes nothing away"
        origin = Origin.of_override(written, 1, 1 + len(key))
        hint = f"without a value it goes whatever it is: ~{key}"
        return Problem(code="compose", message=message, hint=hint, origin=origin)
    for pattern, sign in ((_TWICE, "+"), (_ABSENT, "~")):
        if not (match := pattern.search(text)):
            continue
        key = match[1]
        origin = Origin.of_override(written, 1, 1 + len(key))
        message, hint = f"{key} is there already", f"leave the + out: {written[1:]}"
        if sign == "~":
            message = f"there is no {key} that could be taken away"
            hint = "`mlops-compile config --origins` lists what there is"
        return Problem(code="compose", message=message, hint=hint, origin=origin)
    return None


def _not_chosen(group: str) -> Problem:
    message = f"no defaults list has {group} that could be taken away"
    hint = "`mlops-compile config --info defaults` shows what is chosen"
    return Problem(
        code="compose", message=message, hint=hint, origin=Origin.of_override(f"~{group}", 1)
    )


def _in_its_words(error: Exception, deepest: BaseException) -> Problem:
    where: tuple[str, ...] = ()
    text = str(error)
    if isinstance(deepest, OmegaConfBaseException):
        where = tuple(str(deepest.full_key).split(".")) if deepest.full_key else ()
        text = str(deepest.msg or deepest)
        if match := _NOT_IN.match(text):
            hint = suggest(match[1], _fields(deepest.object_type))
            return problem("unknown-key", "Hydra has no such key", where, hint)
    return problem("compose", _said(text) or type(error).__name__, where)


def _said(text: str) -> str:
    """What a message says first, without what OmegaConf adds below it."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n  ".join([line for line in lines if not line.strip().startswith(_NOISE)][:3])


def _named(text: str, composition: Composition) -> Origin | None:
    """The override whose key stands in a message of Hydra."""
    for written in composition.overrides:
        sign = len(written) - len(written.lstrip("+~"))
        key = written[sign:].partition("=")[0]
        if key and f"'{key}'" in text:
            return Origin.of_override(written, sign, sign + len(key))
    return None


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(getattr(kind, "__dataclass_fields__", ()))


def _braces(composition: Composition) -> Iterator[Problem]:
    """Interpolations that OmegaConf's grammar does not take, in chosen files and in overrides."""
    for file in Chosen(composition).files:
        lines = file.read_text("utf-8").splitlines()
        for scalar in scalars(file_node(file)):
            if (wrong := _wrong(scalar.value)) is not None:
                origin = node_origin(scalar, file, lines)
                begin = max(origin.text.find(wrong, origin.column - 1), origin.column - 1)
                width = origin.column + origin.width - 1 - begin
                yield _brace(replace(origin, column=begin + 1, width=width), scalar.value)
    for text in composition.overrides:
        override = parsed(text)
        value = text.partition("=")[2]
        if override is not None and (wrong := _wrong(value)) is not None:
            yield _brace(Origin.of_override(text, text.index(wrong)), value)


def _wrong(text: str) -> str | None:
    """From where on a text is no interpolation that OmegaConf can parse."""
    if "${" not in text:
        return None
    try:
        parse(text)
    except GrammarParseError:
        return text[text.rindex("${") :]
    return None


def _brace(origin: Origin, text: str) -> Problem:
    message, hint = "this interpolation cannot be parsed", "it is ${KEY}, or ${RESOLVER:VALUE}"
    if _wrong(text + "}") is None:
        message = "this ${ is not closed"
        hint = "close it with }, or write \\${ if no interpolation is meant"
    return Problem(code="interpolation", message=message, hint=hint, origin=origin)
