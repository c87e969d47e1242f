"""The schedule: no step before its inputs, the longest way first, nothing forgotten."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_compile.execute.schedule import Schedule
from mlops_compile.ir.plan import Plan, Ref, Step, in_order
from mlops_compile.ir.value import Map
from tests.strategies import plans


def seconds_of(plan: Plan, draw: st.DataObject) -> dict[str, float]:
    return {step.name: draw.draw(st.floats(0.01, 100)) for step in plan.steps}


def way(plan: Plan, seconds: dict[str, float], name: str) -> float:
    """By the definition: the step and the longest way behind it."""
    behind = [s.name for s in plan.steps if name in {ref.step for _, ref in s.inputs}]
    return seconds[name] + max((way(plan, seconds, other) for other in behind), default=0.0)


@given(plan=plans(), data=st.data())
def test_every_step_runs_once_after_its_inputs_the_longest_way_first(
    plan: Plan, data: st.DataObject
) -> None:
    seconds = seconds_of(plan, data)
    schedule = Schedule(plan, lambda step: seconds[step.name])
    done: list[str] = []
    while schedule.left:
        ready = [step.name for step in schedule.ready()]
        assert ready, "steps are left, and none is ready"
        ways = [way(plan, seconds, name) for name in ready]
        assert ways == sorted(ways, reverse=True)
        assert schedule.longest() >= max(ways) - 1e-9
        name = data.draw(st.sampled_from(ready))
        assert all(ref.step in done for _, ref in plan[name].inputs)
        schedule.started(name)
        assert name not in [step.name for step in schedule.ready()]
        schedule.done(name)
        done.append(name)
    assert sorted(done) == sorted(step.name for step in plan.steps)


@given(plan=plans(), data=st.data())
def test_behind_a_failed_step_nothing_runs_and_the_rest_does(
    plan: Plan, data: st.DataObject
) -> None:
    schedule = Schedule(plan, lambda step: 1.0)
    broken = data.draw(st.sampled_from([step.name for step in plan.steps]))
    behind = {broken}
    for step in plan.steps:
        if behind & {ref.step for _, ref in step.inputs}:
            behind.add(step.name)
    done, lost = [], []
    while schedule.left:
        name = next(schedule.ready()).name
        schedule.started(name)
        if name == broken:
            lost += [step.name for step in schedule.failed(name)]
        else:
            schedule.done(name)
            done.append(name)
    assert set(lost) == behind - {broken}
    assert set(done) == {step.name for step in plan.steps} - behind


@given(plan=plans(), data=st.data())
def test_what_was_lost_is_made_again_before_it_is_needed(plan: Plan, data: st.DataObject) -> None:
    schedule = Schedule(plan, lambda step: 1.0)
    made: list[str] = []
    losses = data.draw(st.integers(0, 3))
    while schedule.left:
        name = data.draw(st.sampled_from([step.name for step in schedule.ready()]))
        makers = sorted({ref.step for _, ref in plan[name].inputs})
        if makers and losses:
            losses -= 1
            schedule.again(name, makers[:1])
            assert name not in [step.name for step in schedule.ready()]
            assert schedule.is_left(makers[0])
            continue
        schedule.started(name)
        schedule.done(name)
        made.append(name)
    assert {step.name for step in plan.steps} == set(made)


@given(plan=plans())
def test_each_step_is_fresh_once(plan: Plan) -> None:
    schedule = Schedule(plan, lambda step: 1.0)
    seen: list[str] = []
    while fresh := schedule.fresh():
        for step in fresh:
            seen.append(step.name)
            schedule.done(step.name)
    assert sorted(seen) == sorted(step.name for step in plan.steps)
    assert not schedule.left


class Model:
    """What a schedule is to do, in sets: each step's state, and what it waits for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = {step.name: "left" for step in plan.steps}
        self.waits = {step.name: {ref.step for _, ref in step.inputs} for step in plan.steps}

    def ready(self) -> set[str]:
        return {n for n, state in self.state.items() if state == "left" and not self.waits[n]}

    def done(self, name: str) -> None:
        self.state[name] = "done"
        for behind in self._behind(name):
            self.waits[behind].discard(name)

    def failed(self, name: str) -> set[str]:
        """What cannot run any more: what is left behind it, not by way of what goes on."""
        self.state[name] = "failed"
        return self._lost_behind(name)

    def _lost_behind(self, name: str) -> set[str]:
        lost = {other for other in self._behind(name) if self.state[other] == "left"}
        for other in lost:
            self.state[other] = "skipped"
        return lost.union(*(self._lost_behind(other) for other in lost))

    def again(self, name: str, makers: list[str]) -> None:
        self.state[name] = "left"
        for maker in makers:
            self.waits[name].add(maker)
            if self.state[maker] == "done":
                self.state[maker] = "left"

    def _behind(self, name: str) -> list[str]:
        return [s.name for s in self.plan.steps if name in {ref.step for _, ref in s.inputs}]


@st.composite
def webs(draw: st.DrawFn) -> Plan:
    """A plan in which most steps share what they take."""
    steps: list[Step] = []
    for number in range(draw(st.integers(2, 5))):
        taken = draw(st.sets(st.integers(0, number - 1), min_size=1)) if number else set()
        inputs = tuple((f"i{n}", Ref(step=f"s{n}", output="out")) for n in sorted(taken))
        steps.append(
            Step(
                name=f"s{number}",
                kind="any",
                version=1,
                params=Map(),
                inputs=inputs,
                outputs=("out",),
            )
        )
    return Plan(steps=in_order(tuple(steps)))


@settings(max_examples=300)
@given(plan=webs(), data=st.data())
def test_a_schedule_does_what_its_model_does(plan: Plan, data: st.DataObject) -> None:
    """Whatever starts, ends, fails, is lost and made again, in whatever order."""
    schedule, model, troubles = Schedule(plan, lambda step: 1.0), Model(plan), 12
    while schedule.left:
        ready = [step.name for step in schedule.ready()]
        assert set(ready) == model.ready() and len(set(ready)) == len(ready)
        assert {step.name for step in schedule.fresh()} <= set(ready)
        working = [n for n, state in model.state.items() if state == "working"]
        assert ready or working, "steps are left, and nothing goes on"
        name = data.draw(st.sampled_from(ready + working))
        makers = sorted({ref.step for _, ref in plan[name].inputs})
        usable = [maker for maker in makers if model.state[maker] not in ("failed", "skipped")]
        moves = ["done"] if name in working else ["start", "done"]
        moves += ["fail", "again"] if troubles else []
        match data.draw(st.sampled_from(moves)):
            case "start":
                schedule.started(name)
                model.state[name] = "working"
            case "done":
                schedule.done(name)
                model.done(name)
            case "fail":
                troubles -= 1
                lost = [step.name for step in schedule.failed(name)]
                assert set(lost) == model.failed(name) and len(set(lost)) == len(lost)
                assert lost == [step.name for step in plan.steps if step.name in lost]
            case "again":
                troubles -= 1
                chosen = data.draw(st.lists(st.sampled_from(usable), min_size=1)) if usable else []
                schedule.again(name, chosen)
                model.again(name, chosen)
        assert {n for n in model.state if schedule.is_left(n)} == {
            n for n, state in model.state.items() if state in ("left", "working")
        }
    assert schedule.left == 0 and not list(schedule.ready())


def test_a_step_that_was_ready_is_skipped_when_what_it_needs_is_made_again_in_vain() -> None:
    def step(name: str, *inputs: str) -> Step:
        refs = tuple((name, Ref(step=name, output="out")) for name in inputs)
        return Step(name=name, kind="any", version=1, params=Map(), inputs=refs, outputs=("out",))

    steps = (step("a"), step("b", "a"), step("c", "a"))
    schedule = Schedule(Plan(steps=in_order(steps)), lambda step: 1.0)
    schedule.done("a")
    schedule.again("b", ["a"])
    assert [step.name for step in schedule.failed("a")] == ["b", "c"]
    assert schedule.left == 0 and not list(schedule.ready())
