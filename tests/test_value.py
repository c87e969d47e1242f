"""Plain values: one canonical form a value, another for another value."""

from __future__ import annotations

import json
import pickle
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops_compile.ir.value import (
    Map,
    canonical,
    dotted,
    freeze,
    leaves,
    parse,
    pick,
    pretty,
    same,
    thaw,
)
from tests.strategies import maps, plain, scalars, shuffled, texts, values


def alike(left: Any, right: Any) -> bool:
    """Whether two frozen values are one: of one type all the way down, floats bit for bit."""
    if type(left) is not type(right):
        return False
    match left:
        case Map():
            return list(left) == list(right) and all(alike(left[key], right[key]) for key in left)
        case tuple():
            return len(left) == len(right) and all(map(alike, left, right))
        case float():
            return left.hex() == right.hex()
        case _:
            return left == right


@given(values, values)
def test_two_values_have_one_form_only_if_they_are_one(left: Any, right: Any) -> None:
    assert (canonical(left) == canonical(right)) == alike(left, right)
    assert same(left, right) == alike(left, right)


@given(scalars, scalars)
def test_two_scalars_have_one_form_only_if_they_are_one(left: Any, right: Any) -> None:
    left, right = freeze(left), freeze(right)
    assert (canonical(left) == canonical(right)) == alike(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (1.0, True),
        (0, False),
        (0.0, -0.0),
        (None, "null"),
        (1, "1"),
        (10**16, 1e16),
        (["a;b"], ["a", "b"]),
        (["a", ["b"]], ["a", "b"]),
        ([], {}),
        ([None], []),
        ({"a": None}, {}),
        ({"a": {"b": 1}}, {"a.b": 1}),
    ],
)
def test_what_only_looks_alike_has_another_form(left: Any, right: Any) -> None:
    assert canonical(freeze(left)) != canonical(freeze(right))
    assert not same(freeze(left), freeze(right))


@given(plain, st.integers(1, 3))
def test_the_order_of_keys_does_not_matter(value: Any, turn: int) -> None:
    try:
        first = freeze(value)
    except ValueError:
        assume(False)
    assert canonical(freeze(shuffled(value, turn))) == canonical(first)
    assert freeze(shuffled(value, turn)) == first


@given(values)
def test_reading_gives_the_value_back(value: Any) -> None:
    assert alike(parse(canonical(value)), value)
    assert alike(parse(pretty(value)), value)
    assert alike(freeze(thaw(value)), value)


@given(values)
def test_the_canonical_form_is_compact_json_and_the_pretty_one_ends_in_a_newline(
    value: Any,
) -> None:
    assert canonical(value) == json.dumps(
        thaw(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode("utf-8")
    text = json.dumps(thaw(value), ensure_ascii=False, indent=1, sort_keys=True)
    assert pretty(value) == f"{text}\n"


def test_the_canonical_form_is_frozen() -> None:
    value = {"b": [1, 1.0, True, None, -0.0, 1e300], "a": {"é": "\n", "Z": "z"}}
    assert canonical(freeze(value)) == (
        '{"a":{"Z":"z","é":"\\n"},"b":[1,1.0,true,null,-0.0,1e+300]}'.encode()
    )


@given(texts)
def test_text_is_nfc(text: str) -> None:
    assert freeze(text) == unicodedata.normalize("NFC", text)
    assert canonical(freeze(unicodedata.normalize("NFD", text))) == canonical(freeze(text))


@pytest.mark.parametrize(
    "wrong",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        {"a": [float("nan")]},
        {1: "a"},
        {None: "a"},
        {"é": 1, "e\u0301": 2},
        "\ud800",
        {"\udfff": 1},
        {1, 2},
        b"bytes",
        object(),
    ],
)
def test_what_has_no_form_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):
        freeze(wrong)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"é": 1, "e\u0301": 2}',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        '"\\ud800"',
        "",
        "{",
        "1 2",
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_text_that_is_no_value_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)


@given(maps, maps)
def test_maps_are_hashable_values(left: Map, right: Map) -> None:
    again = Map(tuple(reversed(tuple(left.items()))))
    assert again == left and hash(again) == hash(left)
    assert pickle.loads(pickle.dumps(left)) == left
    assert list(left) == sorted(left)
    assert dict(left) == {key: left[key] for key in left}
    if left != right:
        assert len({left, again, right}) == 2


def test_a_map_refuses_a_key_twice_and_any_change() -> None:
    with pytest.raises(ValueError, match="twice"):
        Map((("a", 1), ("a", 1)))
    with pytest.raises(TypeError):
        Map({"a": 1})["a"] = 2  # type: ignore[index]
    assert Map({"a": 1}) != {"a": 1}


@given(maps)
def test_leaves_are_where_pick_finds_them(value: Map) -> None:
    found = list(leaves(value))
    assert len({path for path, _ in found}) == len(found)
    for path, leaf in found:
        assert alike(pick(value, path), leaf)
        assert not isinstance(leaf, Map) or not leaf


@given(maps)
def test_leaves_are_all_of_a_value(value: Map) -> None:
    rebuilt: dict[str, Any] = {}
    for path, leaf in leaves(value):
        place = rebuilt
        for key in path[:-1]:
            place = place.setdefault(key, {})
        if path:
            place[path[-1]] = thaw(leaf)
    assert alike(freeze(rebuilt), value)


@pytest.mark.parametrize("path", [("a", "x"), ("a", "b", "c"), ("x",), ("l", "0")])
def test_pick_names_the_whole_path_that_is_missing(path: tuple[str, ...]) -> None:
    value = freeze({"a": {"b": 1}, "l": [1]})
    with pytest.raises(KeyError) as caught:
        pick(value, path)
    assert caught.value.args == (dotted(path),)


@given(st.lists(texts, min_size=1, max_size=3), st.lists(texts, min_size=1, max_size=3))
def test_dotted_paths_stay_apart(left: list[str], right: list[str]) -> None:
    assert (dotted(tuple(left)) == dotted(tuple(right))) == (left == right)


def test_dotted_quotes_only_what_needs_it() -> None:
    assert dotted(("model", "params", "num_leaves")) == "model.params.num_leaves"
    assert dotted(("data", "columns", "pm2.5", "od280/od315", "größe")) == (
        'data.columns."pm2.5".od280/od315.größe'
    )
    assert dotted(("mean radius", "")) == '"mean radius".""'
