"""Groups of keys: what a declaration says is what is read, and what is read can be written."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.compiler.read import Reader, known
from mlops_compile.compiler.spec import Spec
from mlops_compile.compiler.suggest import suggest
from mlops_compile.ir.schema import (
    declared,
    from_value,
    group,
    key,
    members,
    named_type,
    to_value,
)
from mlops_compile.ir.value import Map, freeze
from mlops_compile.steps.foldings import FOLDS
from mlops_compile.steps.preparations import PREPARATIONS
from mlops_compile.steps.sources import SOURCES
from mlops_compile.steps.splits import SPLITS
from tests.strategies import texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A group in a group."""

    size: int = key("whole", default=3, low=1, high=9)
    share: float = key("between", default=0.5, low=0, high=1, low_open=True, high_open=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """A group with every sort of key."""

    name: str = key("a text")
    color: str = key("a choice", default="red", choices=("red", "green"))
    flag: bool = key("yes or no", default=False)
    many: tuple[str, ...] | None = key("texts", default=None)
    either: bool | int | str | None = key("any scalar", default=None)
    free: Map = key("any map", default=Map())
    place: str = key("where", default="here", place=True)
    inner: Inner = group("keys", Inner)
    named: tuple[tuple[str, Inner], ...] = key("groups by name", default=())


inners = st.builds(
    Inner,
    size=st.integers(1, 9),
    share=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
outers = st.builds(
    Outer,
    name=texts.map(lambda text: f"n{freeze(text)}"),
    color=st.sampled_from(["red", "green"]),
    flag=st.booleans(),
    many=st.none() | st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    either=st.none() | st.booleans() | st.integers() | st.sampled_from("abc"),
    free=st.dictionaries(st.sampled_from("abc"), st.integers()).map(Map),
    place=st.sampled_from("ab"),
    inner=inners,
    named=st.dictionaries(st.sampled_from("abc"), inners).map(lambda d: tuple(sorted(d.items()))),
)


def read(value: Any) -> tuple[Outer | None, list[tuple[str, tuple[str, ...]]]]:
    reader = Reader()
    found = reader.group(Outer, freeze(value), ())
    return found, [(problem.code, problem.where) for problem in reader.problems]


@given(outers)
def test_what_is_written_is_read(outer: Outer) -> None:
    assert read(to_value(outer)) == (outer, [])
    assert read(to_value(outer, defaults=False)) == (outer, [])
    assert from_value(Outer, to_value(outer)) == outer
    assert from_value(Outer, to_value(outer, defaults=False)) == outer


@given(outers)
def test_defaults_and_places_can_be_left_out(outer: Outer) -> None:
    short = to_value(outer, defaults=False, places=False)
    assert isinstance(short, Map)
    assert "place" not in short and "name" in short
    for item in declared(Outer):
        if not item.required and getattr(outer, item.name) == item.default:
            # 0 == False: what is left out is the default itself, and not what only equals it
            if type(getattr(outer, item.name)) is type(item.default):
                assert item.name not in short


def test_the_least_that_can_be_said_gives_every_default() -> None:
    assert read({"name": "x"}) == (Outer(name="x"), [])
    assert to_value(Outer(name="x"), defaults=False, places=False) == freeze({"name": "x"})


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"name": "???"}, "missing-value", "name"),
        ({"name": 5}, "wrong-type", "name"),
        ({"name": None}, "missing-value", "name"),
        ({"nmae": 5}, "unknown-key", "nmae"),
        ({"color": "blue"}, "unknown-choice", "color"),
        ({"color": 1}, "wrong-type", "color"),
        ({"flag": "yes"}, "wrong-type", "flag"),
        ({"flag": 1}, "wrong-type", "flag"),
        ({"many": "abc"}, "wrong-type", "many"),
        ({"many": ["a", 1]}, "wrong-type", "many.1"),
        ({"many": ["a", "???"]}, "missing-value", "many.1"),
        ({"either": 1.5}, "wrong-type", "either"),
        ({"either": [1]}, "wrong-type", "either"),
        ({"free": [1]}, "wrong-type", "free"),
        ({"inner": 5}, "wrong-type", "inner"),
        ({"inner": {"size": 0}}, "out-of-range", "inner.size"),
        ({"inner": {"size": 10}}, "out-of-range", "inner.size"),
        ({"inner": {"size": 1.5}}, "wrong-type", "inner.size"),
        ({"inner": {"size": True}}, "wrong-type", "inner.size"),
        ({"inner": {"share": 0}}, "out-of-range", "inner.share"),
        ({"inner": {"share": 1.0}}, "out-of-range", "inner.share"),
        ({"inner": {"share": "half"}}, "wrong-type", "inner.share"),
        ({"inner": {"share": True}}, "wrong-type", "inner.share"),
        ({"inner": {"zise": 1}}, "unknown-key", "inner.zise"),
        ({"named": [1]}, "wrong-type", "named"),
        ({"named": {"a": 5}}, "wrong-type", "named.a"),
        ({"named": {"a": {"size": 99}}}, "out-of-range", "named.a.size"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_a_problem_at_its_key(change: Any, code: str, where: str) -> None:
    found, problems = read({"name": "x", **change})
    assert problems == [(code, tuple(where.split(".")))]
    assert known(found)


def test_what_is_faulty_is_unknown_and_the_rest_is_known() -> None:
    found, _ = read({"name": 5, "color": "blue", "inner": {"size": 99, "share": 0.25}})
    assert not known(found.name) and not known(found.color) and not known(found.inner.size)
    assert found.inner.share == 0.25 and found.flag is False
    assert not known(Reader().group(Outer, 5, ()))
    assert not known(read({"name": "x", "inner": 5})[0].inner.size)


def test_all_that_does_not_fit_is_found_at_once() -> None:
    found, problems = read({"inner": {"size": 99, "share": "x"}, "color": "blue", "zzz": 1})
    assert known(found)
    assert sorted(where for _, where in problems) == [
        ("color",), ("inner", "share"), ("inner", "size"), ("name",), ("zzz",),
    ]  # fmt: skip


def test_whole_numbers_are_numbers_and_null_is_no_statement() -> None:
    outer, problems = read({"name": "x", "inner": None, "many": None, "free": None, "named": None})
    assert (outer, problems) == (Outer(name="x"), [])
    inner = Reader().group(Inner, freeze({"share": 0.25, "size": 1}), ())
    assert inner == Inner(share=0.25, size=1)


def test_from_value_refuses_what_is_not_declared() -> None:
    with pytest.raises(ValueError, match="no key 'zzz'"):
        from_value(Inner, Map({"zzz": 1}))
    with pytest.raises(ValueError, match="is a map"):
        from_value(Inner, 5)


def test_suggestions_name_the_nearest_or_all() -> None:
    assert suggest("num_leafs", ("num_leaves", "max_bin")) == "did you mean 'num_leaves'?"
    assert suggest("zzz", ("a", "b c")) == 'known: a, "b c"'
    assert suggest("zzz", ()) == ""
    assert suggest("~", tuple(f"k{n}" for n in range(25))).endswith("and 10 more")


def every_group() -> list[type[Any]]:
    found: list[type[Any]] = []

    def walk(of: type[Any]) -> None:
        if of in found:
            return
        found.append(of)
        for item in declared(of):
            for member in (*members(item.type), named_type(item.type)):
                if isinstance(member, type) and dataclasses.is_dataclass(member):
                    walk(member)

    for table in (SOURCES, SPLITS, FOLDS, PREPARATIONS):
        for piece in table.values():
            walk(piece.spec)  # type: ignore[attr-defined]
    walk(Spec)
    return found


@pytest.mark.parametrize("of", every_group(), ids=lambda of: of.__name__)
def test_every_key_has_a_meaning_and_a_default_within_its_own_rules(of: type[Any]) -> None:
    for item in declared(of):
        assert item.rules.doc, f"{of.__name__}.{item.name} says nothing of what it is"
        if item.required or item.rules.variants:
            continue
        reader = Reader()
        stated = to_value(item.default)
        stated = Map() if stated == () and named_type(item.type) else stated
        held = reader._value(item.type, item.rules, stated, (item.name,))
        assert reader.problems == []
        assert held == item.default
