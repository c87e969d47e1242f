"""Encodings of text files: which there are, and where bytes are not in them."""

from __future__ import annotations

import codecs
from typing import IO

# Codecs of Python that turn bytes into texts, and are no encoding of a file: names of hosts,
# literals of a language, mail headers, or nothing at all.
_NO_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7")
# That of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)


def encoding_of(name: str) -> codecs.CodecInfo | None:
    """The text encoding of a name; None if there is none that a file is written in."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding or found.name.replace("_", "-") in _NO_FILES:
        return None
    return found


def is_wide(name: str) -> bool:
    """Whether plain characters have zero bytes in this encoding."""
    found = encoding_of(name)
    return found is not None and found.name.startswith(("utf-16", "utf-32"))


def marked(head: bytes) -> str:
    """The wide encoding that the byte order mark at a file's beginning tells; empty without one."""
    for name, marks in _MARKS:
        if head.startswith(marks):
            return name
    return ""


def first_fault(file: IO[bytes], encoding: str) -> str:
    """Where a file is not in its encoding, as the end of a sentence about it; empty if it is."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    number = read = 0
    try:
        for line in file:
            number += 1
            read += len(line)
            decoder.decode(line)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as wrong:
        if "BOM" in wrong.reason:  # Python 3.13 gives this as a byte's fault
            return f": {encoding} begins with a byte order mark, and the file does not"
        if is_wide(encoding):
            return f": byte {read - len(wrong.object) + wrong.start + 1} is not {encoding}"
        return f", line {number}: byte {wrong.start + 1} is not {encoding}"
    except UnicodeError:  # the same before Python 3.13
        return f": {encoding} begins with a byte order mark, and the file does not"
    return ""
