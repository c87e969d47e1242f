"""How a delimited file is to be read, and which options cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlops_compile.ir.problem import CompileError, Problem, problem
from mlops_compile.ir.schema import group, key
from mlops_compile.ir.value import KeyPath, Map
from mlops_compile.steps.sources.cells import Numbers
from mlops_compile.steps.sources.encodings import encoding_of
from mlops_compile.steps.sources.marks import (
    MISSING,
    MISSING_IN_DOC,
    REPLACE_DOC,
    Marks,
    marks_problems,
)

PATH: KeyPath = ("data", "source", "path")
OPTIONS: KeyPath = ("data", "source", "options")
_TAB = """$'data.source.options.separator="\\t"'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """How a delimited text file is to be read."""

    separator: str = key("one character between the cells of a row", default=",")
    header: bool = key("whether the first row holds the names of the columns", default=True)
    columns: tuple[str, ...] = key("names of the columns, in order; replaces a header", default=())
    encoding: str = key("name of the text's encoding", default="utf-8")
    missing: tuple[str, ...] = key("texts that stand for a missing value", default=MISSING)
    missing_in: Map = key(MISSING_IN_DOC, default=Map())
    replace: Map = key(REPLACE_DOC, default=Map())
    quote: str | None = key(
        "the character around a cell that holds a separator; null: there is none", default='"'
    )
    double_quote: bool = key(
        "whether two quotes in a quoted cell stand for one that belongs to it", default=True
    )
    escape: str | None = key(
        "the character that takes the next one's meaning away; null: there is none", default=None
    )
    decimal: str = key("the mark before the fraction of a number", default=".")
    thousands: str | None = key(
        "the mark between groups of three digits; null: there is none", default=None
    )
    comment: str | None = key(
        "lines that begin with this text are left out; null: there are none", default=None
    )
    skip: int = key("lines at the top that are left out, before the header", default=0, low=0)

    @property
    def numbers(self) -> Numbers:
        """How numbers are written."""
        return Numbers(decimal=self.decimal, thousands=self.thousands or "")

    def marks(self, names: Sequence[str]) -> Marks:
        """What texts of these columns stand for. CompileError where others are named."""
        return Marks(self.missing, self.missing_in, self.replace, names)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """`data.source` of a delimited text file."""

    kind: str = key("csv", choices=("csv",))
    path: str = key(
        "the file, relative to the project, or a URI; gz, zst, bz2, xz and zip are unpacked",
        filled=True,
        place=True,
    )
    options: CsvOptions = group("how to read it", CsvOptions)


def fault(
    code: str,
    message: str,
    where: KeyPath = PATH,
    hint: str = "",
    quotes: tuple[str, ...] = (),
) -> CompileError:
    """The error of one problem; `quotes` are the values of the data that it holds."""
    return CompileError([problem(code, message, where, hint, quotes=quotes)])


def option_problems(spec: CsvSource) -> Iterator[Problem]:
    """Options that cannot be, whatever the file holds."""
    options = spec.options
    signs = (("separator", options.separator), ("quote", options.quote), ("escape", options.escape))
    for name, value in signs:
        if value is None or (len(value) == 1 and ord(value) < 128 and value not in "\r\n\0"):
            continue
        message = f"must be one ASCII character, not {value!r}"
        hint = "null: there is none" if name != "separator" and not value else ""
        if name == "separator" and value.lower() in ("tab", "t", "\\t", "tsv"):
            hint = 'a tab is "\\t" in a YAML file; in a shell: ' + _TAB
        yield problem("option", message, (*OPTIONS, name), hint)
    for position, (name, value) in enumerate(signs):
        for other, same in signs[position + 1 :]:
            if value is not None and value == same:
                message = f"is the same as options.{other}: {value!r}"
                yield problem("option", message, (*OPTIONS, name))
    if encoding_of(options.encoding) is None:
        message = f"there is no encoding {options.encoding!r} of text files"
        hint = "for example utf-8, latin-1"
        yield problem("encoding", message, (*OPTIONS, "encoding"), hint)
    yield from _number_problems(options)
    if options.comment is not None and (
        not options.comment.strip() or options.comment[0].isspace() or "\n" in options.comment
    ):
        message = f"must be a text that a line can begin with, not {options.comment!r}"
        yield problem("option", message, (*OPTIONS, "comment"), "null: there are none")
    yield from marks_problems(options.missing_in, options.replace)


def _number_problems(options: CsvOptions) -> Iterator[Problem]:
    for name, value in (("decimal", options.decimal), ("thousands", options.thousands)):
        if value is not None and (len(value) != 1 or value.isalnum() or value in "+-\r\n"):
            message = f"must be one character that is no digit, letter or sign, not {value!r}"
            hint = "null: there is none" if name == "thousands" and not value else ""
            yield problem("option", message, (*OPTIONS, name), hint)
    if options.decimal == options.thousands:
        message = f"is the same as options.thousands: {options.decimal!r}"
        hint = 'of 1.234,5 decimal is "," and thousands is "."'
        yield problem("option", message, (*OPTIONS, "decimal"), hint)
