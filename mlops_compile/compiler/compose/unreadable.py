"""Config files that cannot be read as UTF-8 or as YAML: every one, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import YAMLError
from yaml.reader import ReaderError

from mlops_compile.compiler.compose.diagnoses import Refusal, diagnosis
from mlops_compile.compiler.compose.guard import MOST_BYTES
from mlops_compile.compiler.compose.search_path import config_files, shown_path
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem


class _Reader(yaml.SafeLoader):
    """Reads as OmegaConf does, which refuses a key that is set twice. Its own reader may be
    libyaml's, which says less of what is wrong."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in known:
                    raise yaml.constructor.ConstructorError(
                        "while constructing a mapping",
                        node.start_mark,
                        f"found duplicate key {key.value}",
                        key.start_mark,
                    )
                known.add(key.value)
        return super().construct_mapping(node, deep=deep)


def unreadable_files(search_path: tuple[str, ...]) -> Iterator[Problem]:
    """A problem for each file of a project that Hydra could not read."""
    for file in config_files(search_path):
        if file.stat().st_size > MOST_BYTES:
            continue  # not chosen, or `guard` would have told
        try:
            text = file.read_bytes().decode("utf-8")
            yaml.load(text, Loader=_Reader)
        except UnicodeDecodeError:
            yield _not_utf8(file)
        except YAMLError as error:
            yield yaml_problem(error, file)
        except (RecursionError, ValueError, TypeError):
            continue  # Hydra's own refusal tells of it


def _not_utf8(file: Path) -> Problem:
    """With the first line that is not."""
    data = file.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        origin = Origin(source=shown_path(str(file)), line=1)
        message, hint = "the file is UTF-16", "save it as UTF-8"
        return Problem(code="encoding", message=message, origin=origin, hint=hint)
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            before = line[: error.start].decode("utf-8")
            shown = line.decode("utf-8", errors="replace").replace("\ufffd", "?")
            origin = Origin(
                source=shown_path(str(file)),
                line=number,
                column=len(before) + 1,
                width=1,
                text=shown,
            )
            byte = line[error.start]
            message = f"the byte 0x{byte:02x} is not UTF-8"
            letter = bytes([byte]).decode("latin-1")
            hint = "save the file as UTF-8"
            if letter.isalpha():
                hint += f"; it is Latin-1, if a {letter!r} is meant here"
            return Problem(code="encoding", message=message, origin=origin, hint=hint)
    raise ValueError(f"{file} is UTF-8")


def yaml_problem(error: YAMLError, file: Path | None = None) -> Problem:
    """What is wrong with a file's YAML, with the part marked that has to change."""
    if isinstance(error, ReaderError) and file is not None:
        return _no_character(error, file)
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or error)
    if mark is None:
        place = Origin(source=shown_path(str(file)), line=1) if file else None
        return Problem(code="yaml", message=f"this is not YAML: {what}", origin=place)
    file = file or Path(str(mark.name))
    lines = _lines(file)
    found = diagnosis(Refusal(what=what, error=error, lines=tuple(lines)))
    origin = Origin(
        source=shown_path(str(file)),
        line=found.line + 1,
        column=found.column + 1,
        width=found.width,
        text=lines[found.line] if found.line < len(lines) else "",
    )
    code = "twice" if what.startswith("found duplicate key") else "yaml"
    return Problem(code=code, message=found.message, hint=found.hint, origin=origin)


def _no_character(error: ReaderError, file: Path) -> Problem:
    """A character that YAML has no place for."""
    before = file.read_text("utf-8")[: int(error.position)]
    line = before.count("\n")
    column = len(before) - before.rfind("\n")
    text = file.read_text("utf-8").split("\n")[line]
    place = shown_path(str(file))
    origin = Origin(source=place, line=line + 1, column=column, width=1, text=text)
    message = f"the character U+{ord(text[column - 1]):04X} cannot stand in YAML"
    hint = f'leave it out; in double quotes it is written "\\x{ord(text[column - 1]):02x}"'
    return Problem(code="yaml", message=message, hint=hint, origin=origin)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
