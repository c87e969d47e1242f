"""Documents that share what is equal: the same values as read alone, however they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.interned import Interned
from mlops_compile.ir.value import Value, freeze, parse, pretty, thaw
from tests.strategies import values

KEYS = st.sampled_from(["a", "b.c", "é", 'q"', "back\\", "},", "steps", ""])
ROWS = st.dictionaries(KEYS, st.dictionaries(KEYS, st.integers(0, 3), max_size=3), max_size=4)
PARTS = {"a": values, "steps": ROWS | values, "z": st.fixed_dictionaries({"steps": ROWS})}
DOCUMENTS = st.fixed_dictionaries({}, optional=PARTS).map(freeze)


def outcome(read: Any, *told: Any) -> Any:
    try:
        return read(*told)
    except ValueError:
        return ValueError


@given(st.lists(DOCUMENTS, min_size=1, max_size=3), st.sampled_from([None, 0, 1, 2]))
def test_documents_are_as_if_read_alone(documents: list[Any], indent: int | None) -> None:
    interned = Interned()
    for document in documents:
        text = json.dumps(thaw(document), indent=indent, ensure_ascii=False, sort_keys=True)
        assert interned.parse(text, "steps") == parse(text)


@given(DOCUMENTS, st.data())
def test_what_is_broken_is_refused_as_alone(document: Value, data: st.DataObject) -> None:
    text = pretty(document)
    place = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.sampled_from(["", '"', "}", "{", ",", '\n  "', "\n }", '"a": {},\n  "']))
    broken = text[:place] + piece + text[place + data.draw(st.integers(0, 3)) :]
    assert outcome(Interned().parse, broken, "steps") == outcome(parse, broken)


def test_equal_rows_and_parts_are_one_object() -> None:
    interned = Interned()
    tables = [freeze({"n": n, "steps": {f"s{n}": {"p": {"q": 1}}}}) for n in (1, 2)]
    first, second = (interned.parse(pretty(table), "steps") for table in tables)
    assert first["steps"]["s1"] is second["steps"]["s2"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    "text",
    [
        '{\n "steps": {\n  "a": {},\n  "a": {}\n }\n}',
        '{\n "z": {\n "steps": {\n  "a": {}\n }\n }\n}',
        '{\n "z": {\n "steps": {\n  "a": {}\n }\n },\n "steps": {}\n}',
        '{\n "steps": {\n  "a": {\n  "b": {},\n  "c": {}\n }\n }\n}',
        '[{\n "steps": {\n  "a": {}\n }\n}]',
        '{\n "steps": {\n  "a": {}\n },\n "steps": {}\n}',
    ],
)
def test_texts_that_look_like_tables(text: str) -> None:
    assert outcome(Interned().parse, text, "steps") == outcome(parse, text)
