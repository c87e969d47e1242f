"""Locks: one text a lock, and no text that is not whole, known and sound is a lock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.ir.lock import Lock, decode, encode, to_value
from mlops_compile.ir.lock_format import FORMAT
from mlops_compile.ir.problem import CompileError
from mlops_compile.ir.value import freeze, parse, thaw
from mlops_compile.steps.kinds import needs_of
from tests.strategies import BASE, GONE, edited, lock_of, locks, places, plain, tweak

LOCK = lock_of(BASE)
TEXT = encode(LOCK)
PLACES = places(thaw(parse(TEXT)))


def refused(text: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        decode(text)
    return caught.value


@given(locks())
def test_round_trip(lock: Lock) -> None:
    assert decode(encode(lock)) == lock
    assert encode(decode(encode(lock))) == encode(lock)


@settings(max_examples=25)
@given(locks(), locks())
def test_equal_texts_are_equal_locks(left: Lock, right: Lock) -> None:
    assert (encode(left) == encode(right)) == (left.digest == right.digest)
    assert encode(left) != encode(right) or left == right


@given(locks())
def test_the_text_is_canonical(lock: Lock) -> None:
    text = encode(lock)
    tree = json.loads(text)
    assert text == json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert tree["format"] == FORMAT
    assert set(tree) == {"format", "contract", "environment", "sources", "steps"}


def test_the_order_of_keys_in_the_text_does_not_matter() -> None:
    tree = json.loads(TEXT)
    turned = json.dumps(dict(reversed(tree.items())))
    assert encode(decode(turned)) == TEXT


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"model__params": {"num_iterations": 6}}, 1),
        ({"data__name": "other"}, 1),  # the name of the service
        ({"evaluate__gates": {"accuracy": ">= 0.5"}}, None),
    ],
)
def test_a_changed_parameter_is_one_changed_line(change: dict[str, Any], lines: int | None) -> None:
    old, new = TEXT.splitlines(), encode(lock_of(tweak(BASE, **change))).splitlines()
    if lines is None:
        assert len(new) > len(old)
        return
    assert len(old) == len(new)
    assert sum(one != two for one, two in zip(old, new, strict=True)) == lines


def test_every_truncation_is_refused_in_a_sentence() -> None:
    for end in range(len(TEXT) - 1):  # the last character is the newline after the last brace
        error = refused(TEXT[:end])
        assert [found.code for found in error.problems] == ["lock"]
        assert "not whole JSON" in error.problems[0].message
        assert "\n" not in error.problems[0].message


def test_a_missing_last_newline_loses_nothing() -> None:
    assert decode(TEXT.rstrip("\n")) == LOCK


@pytest.mark.parametrize("version", [FORMAT + 1, 99])
def test_a_newer_format_is_refused_in_a_sentence(version: int) -> None:
    error = refused(edited(TEXT, ("format",), version))
    (found,) = error.problems
    assert found.code == "newer-format"
    assert str(version) in found.message and "newer" in found.hint


@pytest.mark.parametrize("value", [0, -1, "1", 1.5, True, None, [1], GONE])
def test_an_unknown_format_is_refused(value: Any) -> None:
    error = refused(edited(TEXT, ("format",), value))
    assert [found.code for found in error.problems] == ["format"]


@pytest.mark.parametrize("text", ["[]", "1", '"lock"', "null", "{}", ""])
def test_other_json_is_no_lock(text: str) -> None:
    refused(text)


def is_free(path: tuple[str, ...]) -> bool:
    """Whether a path lies in a step's params: a config slice, which the kind judges."""
    return path[0] == "steps" and len(path) > 3 and path[2] == "params"


def required(path: tuple[str, ...]) -> bool:
    match path:
        case ("steps", _, "seed" | "source"):  # a step may have none
            return False
        case ("steps", _, ("inputs"), _) | ("contract", "request", _) | ("environment", _):
            return False  # what is there is the plan's to say
        case ("sources", _) | ("sources", _, "columns", _):
            return False
        case ("steps", _, "outputs", _) | ("steps", _):
            return False
        case ("contract", "response", "classes", _):
            return False
    return not is_free(path)


@pytest.mark.parametrize("path", [path for path in PLACES if required(path)], ids=".".join)
def test_a_key_that_is_taken_away_is_missed(path: tuple[str, ...]) -> None:
    error = refused(edited(TEXT, path, GONE))
    assert all(found.where for found in error.problems)
    assert any(found.where == path[: len(found.where)] for found in error.problems)


@pytest.mark.parametrize("path", [p for p in PLACES if not is_free(p)], ids=".".join)
def test_a_value_of_another_type_is_refused_with_its_key(path: tuple[str, ...]) -> None:
    held = freeze(json.loads(TEXT))
    for key in path:
        held = held[int(key)] if isinstance(held, tuple) else held[key]  # type: ignore[index]
    for wrong in (None, True, 5, 1.5, "some text", [], ["x"], {"x": 1}):
        if type(freeze(wrong)) is type(held):
            continue
        error = refused(edited(TEXT, path, wrong))
        assert any(
            found.where and found.where == path[: len(found.where)] for found in error.problems
        )


@pytest.mark.parametrize(
    "path",
    [
        *((), ("contract",), ("contract", "response"), ("sources", "data")),
        *(("steps", name) for name in ("acquire", "train", "package")),
    ],
    ids=".".join,
)
def test_an_unknown_key_is_refused_with_its_path(path: tuple[str, ...]) -> None:
    error = refused(edited(TEXT, (*path, "zzz"), 1))
    (found,) = error.problems
    assert found.where == (("contract",) if path[:1] == ("contract",) else (*path, "zzz"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sources", "data", "digest"), "ab" * 31),
        (("sources", "data", "digest"), "AB" * 32),
        (("sources", "data", "digest"), "../../etc/passwd"),
        (("sources", "data", "size"), -1),
        (("sources", "data", "rows"), -1),
        (("sources", "data", "columns", "length"), "float32"),
        (("contract", "request", "length"), "number"),
        (("contract", "response", "task"), "ranking"),
        (("contract", "response", "task"), "regression"),
        (("contract", "response", "classes"), []),
        (("steps", "train", "outputs"), ["../model"]),
        (("steps", "train", "outputs"), ["/model"]),
        (("steps", "train", "inputs", "features"), "prepare"),
        (("steps", "train", "inputs", "features"), "prepare.nothing"),
        (("steps", "train", "inputs", "features"), "nowhere.features"),
        (("steps", "acquire", "source"), "other"),
    ],
)
def test_a_value_that_cannot_be_is_refused_beside_its_key(
    path: tuple[str, ...], value: Any
) -> None:
    error = refused(edited(TEXT, path, value))
    assert any(near(found.where, path) for found in error.problems)


def near(found: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether a problem's key is the path, a key beside it, or one around it."""
    return bool(found) and found[:-1] == path[: len(found) - 1]


def test_a_cycle_is_refused() -> None:
    error = refused(edited(TEXT, ("steps", "train", "inputs", "features"), "evaluate.metrics"))
    assert {found.code for found in error.problems} == {"cycle"}


def test_a_step_whose_name_leaves_the_directory_is_refused() -> None:
    tree = json.loads(TEXT)
    tree["steps"]["../../x"] = tree["steps"]["acquire"]
    assert refused(json.dumps(tree)).problems[0].where == ("steps", "../../x")


def test_a_version_or_port_that_is_not_the_kinds_is_refused_before_running() -> None:
    changes: list[tuple[tuple[str, ...], Any]] = [
        (("steps", "train", "version"), 99),
        (("steps", "train", "kind"), "trian"),
        (("steps", "acquire", "outputs"), ["table", "more"]),
        (("environment", "lightgbm"), GONE),
        (("steps", "train", "params"), {}),
        (("steps", "train", "params", "model", "family"), "nothing"),
        (("steps", "train", "params", "model", "family"), 5),
        (("steps", "train", "params", "model"), "text"),
        (("steps", "acquire", "params", "data", "source", "kind"), "nothing"),
        (("steps", "split", "seed"), GONE),
        (("steps", "prepare", "seed"), 1),
        (("steps", "acquire", "source"), GONE),
    ]
    for path, value in changes:
        with pytest.raises(CompileError):
            needs_of(decode(edited(TEXT, path, value)))


def test_all_problems_are_reported_at_once() -> None:
    text = edited(TEXT, ("sources", "data", "rows"), "many")
    text = edited(text, ("steps", "train", "version"), None)
    text = edited(text, ("zzz",), 1)
    where = {found.where for found in refused(text).problems}
    assert where == {("sources", "data", "rows"), ("steps", "train", "version"), ("zzz",)}


@given(st.sampled_from(PLACES), plain | st.just(GONE))
def test_a_lock_edited_anywhere_is_read_as_it_stands_or_refused(path: Any, value: Any) -> None:
    """Never another exception, and never a lock that is not what the text says."""
    text = edited(TEXT, path, value)
    try:
        lock = decode(text)
        needs_of(lock)
    except CompileError as error:
        assert all(found.message for found in error.problems)
    else:
        assert to_value(lock) == parse(text)


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_lock_or_refused(text: str) -> None:
    refused(text)


@given(st.integers(0, len(TEXT) - 2), st.characters())
def test_any_changed_character_is_read_as_it_stands_or_refused(place: int, char: str) -> None:
    text = TEXT[:place] + char + TEXT[place + 1 :]
    try:
        lock = decode(text)
    except CompileError:
        return
    assert to_value(lock) == parse(text)


def test_a_lock_displays_as_a_table() -> None:
    html = LOCK._repr_html_()
    assert LOCK.digest[:12] in html
    assert all(f"<td>{step.name}</td>" in html for step in LOCK.plan.steps)
