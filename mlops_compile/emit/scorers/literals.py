"""Constants of generated C: exact to the bit, and quick to compile however many."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

# Beyond so many numbers an array is written as bytes: a list takes gcc a microsecond a number.
_MOST_LISTED = 2_000
_CODES = {"double": "d", "uint16_t": "H", "uint32_t": "I", "uint8_t": "B"}
_PLAIN = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ !#$%&'()*+,-./:;<=>@[]^_`{|}~"
)
_BYTES = tuple(chr(byte) if byte in _PLAIN else f"\\{byte:o}" for byte in range(256))
_LINE = 32  # bytes in a line


def number(value: float) -> str:
    """A double as C reads it: by its bits, since decimal digits are for compilers to round."""
    if value != value:
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    if value == int(value) and abs(value) < 1e6 and math.copysign(1, value) > 0:
        return f"{int(value)}.0"
    return value.hex()


def array(name: str, kind: str, values: Sequence[float]) -> str:
    """A constant array of one of the kinds, by name; one element where there are none."""
    items = list(values) or [0]
    if len(items) > _MOST_LISTED:
        return _as_bytes(name, kind, items)
    texts = map(number, items) if kind == "double" else map(str, items)
    return f"static const {kind} {name}[{len(items)}] = {{\n{_lines(list(texts))}}};\n"


def _lines(texts: Sequence[str]) -> str:
    width = 4 if len(texts[0]) > 10 else 12
    chunks = (texts[first : first + width] for first in range(0, len(texts), width))
    return "".join(f"    {', '.join(chunk)},\n" for chunk in chunks)


def _as_bytes(name: str, kind: str, items: list[float]) -> str:
    """The array as the text of its bytes, of the least significant first. No digit stands for
    itself, so that an octal escape ends where it should."""
    data = struct.pack(f"<{len(items)}{_CODES[kind]}", *items)
    rows = (data[first : first + _LINE] for first in range(0, len(data), _LINE))
    text = "\n".join(f'    "{"".join(map(_BYTES.__getitem__, row))}"' for row in rows)
    return (
        f"static const union {{\n    unsigned char bytes[{len(data)}];\n"
        f"    {kind} items[{len(items)}];\n}} {name}_ = {{\n{text}\n}};\n"
        f"#define {name} {name}_.items\n"
    )
