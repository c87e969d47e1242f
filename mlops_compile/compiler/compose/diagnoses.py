"""What is wrong with a text that a YAML reader refuses, in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

# Characters that look like a space, or like nothing, and are no space to YAML.
_ODD = "\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"
_NO_SPACE = re.compile(rf"(?:^[ \t]*|:[ \t]*|-[ \t]*)([{_ODD}])")
_QUOTE = "put the text in quotes"


class Diagnosis(NamedTuple):
    """What is wrong, what to do, and the line, column (from 0) and width of what is marked."""

    message: str
    hint: str
    line: int
    column: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a YAML reader says (`what`) of a text's lines, and its error, which marks a place."""

    what: str
    error: Any
    lines: tuple[str, ...]

    @property
    def mark(self) -> Any:
        return self.error.problem_mark

    @property
    def begin(self) -> Any:
        """Where what is being read begins; None where that is not told."""
        return self.error.context_mark

    @property
    def line(self) -> str:
        return self.at(self.mark.line)

    def at(self, number: int) -> str:
        return self.lines[number] if number < len(self.lines) else ""

    def here(self, message: str, hint: str, width: int = 1) -> Diagnosis:
        return Diagnosis(message, hint, self.mark.line, self.mark.column, width)


def diagnosis(refusal: Refusal) -> Diagnosis:
    """The first that fits."""
    for of in _DIAGNOSES:
        if (found := of(refusal)) is not None:
            return found
    hint = "look at the indentation, and at quotes and brackets in this line and above"
    return refusal.here("YAML takes nothing more here", hint)


def _twice(refusal: Refusal) -> Diagnosis | None:
    if not refusal.what.startswith("found duplicate key "):
        return None
    key = refusal.what.removeprefix("found duplicate key ")
    first = _first(refusal.lines, refusal.begin, key)
    hint = f"keep one; the first is in line {first}" if first else "keep one of them"
    return refusal.here(f"the key {key} is set twice", hint, len(key))


def _version(refusal: Refusal) -> Diagnosis | None:
    if "incompatible YAML document" not in refusal.what:
        return None
    hint = "leave the line out"
    return Diagnosis("YAML 1.1 is read here", hint, refusal.mark.line, 0, len(refusal.line))


def _tag(refusal: Refusal) -> Diagnosis | None:
    if not refusal.what.startswith("could not determine a constructor for the tag"):
        return None
    tag = refusal.what.rpartition(" ")[2].strip("'")
    hint = "leave it out; a text that begins with ! needs quotes"
    return refusal.here(f"there is no tag {tag}", hint, len(tag))


def _space(refusal: Refusal) -> Diagnosis | None:
    """What looks like a space and is none, in the line or the one above."""
    number = refusal.mark.line
    for place in (number - 1, number):
        if place >= 0 and (match := _NO_SPACE.search(refusal.at(place))):
            message = f"this looks like a space and is none: U+{ord(match[1]):04X}"
            hint = "write a plain space in its place"
            return Diagnosis(message, hint, place, match.start(1), 1)
    return None


def _tab(refusal: Refusal) -> Diagnosis | None:
    if "'\\t'" not in refusal.what:
        return None
    line, column = refusal.line, refusal.mark.column
    hint = "indent with spaces"
    if line[:column].strip():
        hint = "write a space in its place" if line[column:].strip() else "leave it out"
    return refusal.here("a tab, where YAML takes spaces only", hint)


def _bracket(refusal: Refusal) -> Diagnosis | None:
    if refusal.begin is None or "flow" not in str(refusal.error.context):
        return None
    number, column = _opened(refusal.lines, refusal.begin)
    behind = refusal.at(number)[column:]
    opened = behind[:1] if number < len(refusal.lines) else "bracket"
    if held := re.search(r"""(?<!["'])\$\{[^}]*\}""", behind):
        message = "inside of brackets an interpolation needs quotes"
        hint = f'put it in quotes: "{held[0]}"'
        return Diagnosis(message, hint, number, column + held.start(), len(held[0]))
    hint = f"close it with {'}' if opened == '{' else ']'}; {_QUOTE} that holds brackets"
    return Diagnosis(f"this {opened} is not closed", hint, number, column, 1)


def _quote(refusal: Refusal) -> Diagnosis | None:
    mark, begin = refusal.mark, refusal.begin
    if begin is None or "quoted scalar" not in str(refusal.error.context):
        return None
    if "escape" in refusal.what:
        letters = refusal.line[mark.column - 1 : mark.column + 1]
        message = f"in double quotes, {letters} is no character"
        hint = "use single quotes, in which a backslash is itself"
        return Diagnosis(message, hint, mark.line, mark.column - 1, 2)
    hint = "close it in the same line"
    return Diagnosis("this quote is not closed", hint, begin.line, begin.column, 1)


def _sign(refusal: Refusal) -> Diagnosis | None:
    """A sign with a meaning of its own, before a text that is meant as it is."""
    if "chomping" not in refusal.what and "expected alphabetic" not in refusal.what:
        return None
    line = refusal.line
    begin = re.search(r"[>|!&]", line)
    column = begin.start() if begin else refusal.mark.column
    message = f"a bare {line[column]} has a meaning of its own in YAML"
    width = max(len(line) - column, 1)
    return Diagnosis(message, _quoted(line), refusal.mark.line, column, width)


def _beginning(refusal: Refusal) -> Diagnosis | None:
    if "cannot start any token" not in refusal.what:
        return None
    text = refusal.line[refusal.mark.column :]
    message = f"a text cannot begin with {text[:1]} in YAML"
    return refusal.here(message, _quoted(refusal.line), len(text))


def _alias(refusal: Refusal) -> Diagnosis | None:
    if not refusal.what.startswith("found undefined alias"):
        return None
    name = (refusal.line[refusal.mark.column :].split() or ["*"])[0]
    message = f"there is no anchor &{name[1:]} that {name} could stand for"
    return refusal.here(message, f"if a text is meant: {_quoted(refusal.line)}", len(name))


def _document(refusal: Refusal) -> Diagnosis | None:
    if "another document" not in refusal.what:
        return None
    hint = "a file holds one config: take the --- out, or make two files"
    width = max(len(refusal.line), 1)
    return Diagnosis("a second document begins here", hint, refusal.mark.line, 0, width)


def _colon(refusal: Refusal) -> Diagnosis | None:
    if refusal.begin is None or "could not find expected ':'" not in refusal.what:
        return None
    number = refusal.begin.line
    line = refusal.at(number)
    indent = len(line) - len(line.lstrip())
    if match := re.match(r"\s*([\w.-]+):(\S.*)", line):
        hint = f"write {match[1]}: {match[2]}"
        message = "a key needs a space behind its colon"
        return Diagnosis(message, hint, number, len(match[1]) + indent, 1)
    width = max(len(line) - indent, 1)
    return Diagnosis("a key needs a colon behind it", "write KEY: VALUE", number, indent, width)


def _indentation(refusal: Refusal) -> Diagnosis | None:
    if "mapping values are not allowed" not in refusal.what:
        return None
    line, mark = refusal.line, refusal.mark
    if len(re.findall(r":(?:\s|$)", line)) > 1:
        return refusal.here("a second colon in one line", _quoted(line))
    indent = len(line) - len(line.lstrip())
    message = "this key is indented otherwise than the one above"
    hint = "keys of one map begin in the same column"
    return Diagnosis(message, hint, mark.line, indent, max(mark.column - indent, 1))


def _comma(refusal: Refusal) -> Diagnosis | None:
    if refusal.line[refusal.mark.column :].strip() != ",":
        return None
    hint = "leave it out: in YAML the keys of a map stand in lines of their own"
    return refusal.here("a comma at the end of a line", hint)


_DIAGNOSES: tuple[Callable[[Refusal], Diagnosis | None], ...] = (
    *(_twice, _version, _tag, _space, _tab, _bracket, _quote, _sign, _beginning, _alias),
    *(_document, _colon, _indentation, _comma),
)


def _quoted(line: str) -> str:
    """The line's value in quotes."""
    key, _, value = line.strip().removeprefix("- ").partition(": ")
    if not value or '"' in value:
        return _QUOTE
    return f'put it in quotes: {key}: "{value.strip()}"'


def _first(lines: tuple[str, ...], context: Any, key: str) -> int:
    """The line (from 1) where the map that begins at a mark sets a key first; 0: not found."""
    for number in range(context.line, len(lines)):
        indent = lines[number][: context.column].replace("-", " ")
        if not indent.strip() and lines[number][context.column :].startswith(f"{key}:"):
            return number + 1
    return 0


def _opened(lines: tuple[str, ...], mark: Any) -> tuple[int, int]:
    """The bracket at a mark, or the last one above it."""
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] in ("[", "{"):
        return mark.line, mark.column
    for number in range(min(mark.line, len(lines) - 1), -1, -1):
        text = lines[number][: mark.column] if number == mark.line else lines[number]
        if (column := max(text.rfind("["), text.rfind("{"))) >= 0:
            return number, column
    return mark.line, mark.column
