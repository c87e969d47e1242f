"""Plans: an order in which they can run, and every reason why they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.plan import Plan, Ref, Step, in_order, is_name, violations
from mlops_compile.ir.value import Map
from tests.strategies import plans


def step(name: str, *inputs: str, outputs: tuple[str, ...] = ("out",)) -> Step:
    return Step(
        name=name,
        kind="k",
        version=1,
        params=Map(),
        inputs=tuple((f"in{n}", Ref.parse(text)) for n, text in enumerate(inputs)),
        outputs=outputs,
    )


def codes(*steps: Step) -> list[tuple[str, tuple[str, ...]]]:
    return [(found.code, found.where) for found in violations(Plan(steps=steps))]


@given(plans(), st.randoms(use_true_random=False))
def test_the_order_is_topological_and_does_not_depend_on_that_given(
    plan: Plan, random: Any
) -> None:
    mixed = list(plan.steps)
    random.shuffle(mixed)
    ordered = in_order(tuple(mixed))
    assert ordered == plan.steps
    place = {step.name: position for position, step in enumerate(ordered)}
    for one in ordered:
        assert all(place[ref.step] < place[one.name] for _, ref in one.inputs)
    assert violations(Plan(steps=ordered)) == ()


@given(plans())
def test_nothing_is_lost_in_ordering_even_with_a_cycle(plan: Plan) -> None:
    first = plan.steps[0]
    circular = Step(
        name="zz_loop", kind="k", version=1, params=Map(), outputs=("out",),
        inputs=(("self", Ref(step="zz_loop", output="out")),),
    )  # fmt: skip
    ordered = in_order((circular, *reversed(plan.steps)))
    assert sorted(s.name for s in ordered) == sorted([*(s.name for s in plan.steps), "zz_loop"])
    assert ordered.index(first) < ordered.index(circular)
    assert [found.code for found in violations(Plan(steps=ordered))] == ["cycle"]


def test_every_step_of_a_cycle_and_behind_it_is_in_the_order() -> None:
    a, b, c = step("a", "b.out"), step("b", "a.out"), step("c", "b.out")
    ordered = in_order((c, b, a))
    assert ordered == (a, b, c)
    assert codes(*ordered) == [("cycle", ("steps", "a", "inputs", "in0"))]


def test_violations_names_all_of_them() -> None:
    found = codes(
        step("a"),
        step("a"),
        step("b", "nowhere.out", "a.other", "c.out"),
        step("c", "b.out"),
    )
    assert found == [
        ("repeated-step", ("steps", "a")),
        ("no-such-step", ("steps", "b", "inputs", "in0")),
        ("no-such-output", ("steps", "b", "inputs", "in1")),
        ("cycle", ("steps", "b", "inputs", "in2")),
    ]


@pytest.mark.parametrize("text", ["a.b", "acquire.table", "trial/3.model", "a_1/b_2.c"])
def test_a_ref_is_written_as_it_is_read(text: str) -> None:
    assert str(Ref.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a", ".a", "a.", "A.b", "a.B", "a b.c", "../x.y", "/a.b", "a/.b", "a.b\n", "a..b"]
)
def test_other_texts_are_no_ref(text: str) -> None:
    with pytest.raises(ValueError, match="does not name an output"):
        Ref.parse(text)


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "..", "a/../b", "/a", "a\n", "a b", "ä"])
def test_a_name_can_stand_in_a_file_name(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="not a name"):
        step(name)
    with pytest.raises(ValueError, match="not a name"):
        step("a", outputs=(name,))


def test_a_step_is_found_by_its_name() -> None:
    plan = Plan(steps=(step("a"), step("b")))
    assert plan["b"].name == "b"
    with pytest.raises(KeyError):
        plan["c"]
