"""Config files that cannot be read as UTF-8 or as YAML: every one, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import YAMLError
from yaml.reader import ReaderError

from mlops_compile.compiler.compose.guard import MOST_BYTES
from mlops_compile.compiler.compose.search_path import config_files, shown_path
from mlops_compile.ir.origin import Origin
from mlops_compile.ir.problem import Problem

# Characters that look like a space, or like nothing, and are no space to YAML.
_ODD = "\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"
_NO_SPACE = re.compile(rf"(?:^[ \t]*|:[ \t]*|-[ \t]*)([{_ODD}])")
_QUOTE = "put the text in quotes"


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
    message, hint, line, column, width = _diagnosis(error, what, lines)
    text = lines[line] if line < len(lines) else ""
    origin = Origin(
        source=shown_path(str(file)),
        line=line + 1,
        column=column + 1,
        width=width,
        text=text,
    )
    code = "twice" if what.startswith("found duplicate key") else "yaml"
    return Problem(code=code, message=message, hint=hint, origin=origin)


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


def _diagnosis(error: Any, what: str, lines: list[str]) -> tuple[str, str, int, int, int]:
    """Message, hint, and the line, column (from 0) and width of what is marked."""
    mark, context = error.problem_mark, error.context_mark
    line = lines[mark.line] if mark.line < len(lines) else ""
    at = (mark.line, mark.column, 1)
    if what.startswith("found duplicate key "):
        key = what.removeprefix("found duplicate key ")
        first = _first(lines, context, key)
        hint = f"keep one; the first is in line {first}" if first else "keep one of them"
        return f"the key {key} is set twice", hint, mark.line, mark.column, len(key)
    if "incompatible YAML document" in what:
        return "YAML 1.1 is read here", "leave the line out", mark.line, 0, len(line)
    if what.startswith("could not determine a constructor for the tag"):
        tag = what.rpartition(" ")[2].strip("'")
        hint = "leave it out; a text that begins with ! needs quotes"
        return f"there is no tag {tag}", hint, mark.line, mark.column, len(tag)
    if found := _odd_space(lines, mark.line):
        return found
    if "'\\t'" in what:
        hint = "indent with spaces"
        if line[: mark.column].strip():
            hint = "write a space in its place" if line[mark.column :].strip() else "leave it out"
        return "a tab, where YAML takes spaces only", hint, *at
    if context is not None and "flow" in str(error.context):
        number, column = _opened(lines, context)
        opened = lines[number][column : column + 1] if number < len(lines) else "bracket"
        behind = lines[number][column:] if number < len(lines) else ""
        if held := re.search(r"""(?<!["'])\$\{[^}]*\}""", behind):
            message = "inside of brackets an interpolation needs quotes"
            hint = f'put it in quotes: "{held[0]}"'
            return message, hint, number, column + held.start(), len(held[0])
        message = f"this {opened} is not closed"
        hint = f"close it with {'}' if opened == '{' else ']'}; {_QUOTE} that holds brackets"
        return message, hint, number, column, 1
    if context is not None and "quoted scalar" in str(error.context):
        if "escape" in what:
            message = f"in double quotes, {line[mark.column - 1 : mark.column + 1]} is no character"
            hint = "use single quotes, in which a backslash is itself"
            return message, hint, mark.line, mark.column - 1, 2
        hint = "close it in the same line"
        return "this quote is not closed", hint, context.line, context.column, 1
    if "chomping" in what or "expected alphabetic" in what:
        begin = re.search(r"[>|!&]", line)
        column = begin.start() if begin else mark.column
        message = f"a bare {line[column]} has a meaning of its own in YAML"
        return message, _quoted(line), mark.line, column, max(len(line) - column, 1)
    if "cannot start any token" in what:
        message = f"a text cannot begin with {line[mark.column : mark.column + 1]} in YAML"
        return message, _quoted(line), mark.line, mark.column, len(line) - mark.column
    if what.startswith("found undefined alias"):
        name = line[mark.column :].split()[0] if line[mark.column :].split() else "*"
        message = f"there is no anchor &{name[1:]} that {name} could stand for"
        return message, f"if a text is meant: {_quoted(line)}", mark.line, mark.column, len(name)
    if "another document" in what:
        hint = "a file holds one config: take the --- out, or make two files"
        return "a second document begins here", hint, mark.line, 0, max(len(line), 1)
    if "could not find expected ':'" in what and context is not None:
        return _no_colon(lines, context.line)
    if "mapping values are not allowed" in what:
        if len(re.findall(r":(?:\s|$)", line)) > 1:
            return "a second colon in one line", _quoted(line), *at
        hint = "keys of one map begin in the same column"
        indent = len(line) - len(line.lstrip())
        width = max(mark.column - indent, 1)
        return "this key is indented otherwise than the one above", hint, mark.line, indent, width
    if line[mark.column :].strip() == ",":
        hint = "leave it out: in YAML the keys of a map stand in lines of their own"
        return "a comma at the end of a line", hint, *at
    hint = "look at the indentation, and at quotes and brackets in this line and above"
    return "YAML takes nothing more here", hint, *at


def _odd_space(lines: list[str], number: int) -> tuple[str, str, int, int, int] | None:
    """What looks like a space and is none, in a line or the one above."""
    for place in (number - 1, number):
        if 0 <= place < len(lines) and (match := _NO_SPACE.search(lines[place])):
            message = f"this looks like a space and is none: U+{ord(match[1]):04X}"
            return message, "write a plain space in its place", place, match.start(1), 1
    return None


def _no_colon(lines: list[str], number: int) -> tuple[str, str, int, int, int]:
    line = lines[number] if number < len(lines) else ""
    indent = len(line) - len(line.lstrip())
    width = max(len(line) - indent, 1)
    if match := re.match(r"\s*([\w.-]+):(\S.*)", line):
        message, hint = "a key needs a space behind its colon", f"write {match[1]}: {match[2]}"
        return message, hint, number, len(match[1]) + indent, 1
    return "a key needs a colon behind it", "write KEY: VALUE", number, indent, width


def _quoted(line: str) -> str:
    """The line's value in quotes."""
    key, _, value = line.strip().removeprefix("- ").partition(": ")
    if not value or '"' in value:
        return _QUOTE
    return f'put it in quotes: {key}: "{value.strip()}"'


def _first(lines: list[str], context: Any, key: str) -> int:
    """The line (from 1) where the map that begins at a mark sets a key first; 0: not found."""
    for number in range(context.line, len(lines)):
        indent = lines[number][: context.column].replace("-", " ")
        if not indent.strip() and lines[number][context.column :].startswith(f"{key}:"):
            return number + 1
    return 0


def _opened(lines: list[str], mark: Any) -> tuple[int, int]:
    """The bracket at a mark, or the last one above it."""
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] in ("[", "{"):
        return mark.line, mark.column
    for number in range(min(mark.line, len(lines) - 1), -1, -1):
        text = lines[number][: mark.column] if number == mark.line else lines[number]
        if (column := max(text.rfind("["), text.rfind("{"))) >= 0:
            return number, column
    return mark.line, mark.column


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
