"""The executor: side by side where it can, in order where it must, and nothing lost on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_compile.api.compiling import effects_of
from mlops_compile.execute.pool import Workers
from mlops_compile.ir.plan import Step
from mlops_compile.store.store import Store
from tests.probe import SOURCE, Probes, probe, statuses


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as found:
        yield found


@pytest.fixture
def probes(tmp_path: Path, workers: Workers) -> Probes:
    return Probes(tmp_path, workers)


def test_steps_that_do_not_need_each_other_run_at_once(probes: Probes) -> None:
    one, two = str(probes.root / "one"), str(probes.root / "two")
    record = probes.run(probe("a", SOURCE, meet=[one, two]), probe("b", SOURCE, meet=[two, one]))
    assert statuses(record) == {"a": "ran", "b": "ran"}


def test_one_job_runs_one_step_at_a_time(tmp_path: Path) -> None:
    with Workers(1) as alone:
        probes = Probes(tmp_path, alone)
        held = str(tmp_path / "held")
        record = probes.run(
            *(probe(f"p{n}", SOURCE, alone=held, text=str(n)) for n in range(6)), workers=1
        )
    assert set(statuses(record).values()) == {"ran"}


def test_a_failed_step_stops_what_is_behind_it_and_nothing_else(probes: Probes) -> None:
    steps = (
        probe("good", SOURCE, text="good"),
        probe("bad", SOURCE, fail="it went wrong", print="on the way"),
        probe("behind_bad", "bad"),
        probe("further", "behind_bad"),
        probe("both", "good", "bad", kind="probe_pair"),
        probe("behind_good", "good"),
    )
    record = probes.run(*steps)
    assert statuses(record) == {
        "good": "ran",
        "bad": "failed",
        "behind_bad": "skipped",
        "further": "skipped",
        "both": "skipped",
        "behind_good": "ran",
    }
    bad = record["bad"]
    assert bad.exit_code == 5 and "it went wrong" in bad.error
    log = Path(bad.log).read_text()
    assert "on the way" in log and "from below" in log and "Traceback" in log
    assert probes.heard.started_steps.count("bad") == 1
    again = probes.run(*steps)  # a failure is not remembered, and what was made is
    assert statuses(again) == {**statuses(record), "good": "hit", "behind_good": "hit"}


def test_what_no_one_expects_is_a_sentence_with_a_traceback_in_the_log(probes: Probes) -> None:
    record = probes.run(probe("odd", SOURCE, bug="no one expects"))
    (found,) = record["odd"].problems
    assert found.code == "bug" and "RuntimeError: no one expects" in found.message
    assert "RuntimeError: no one expects" in Path(record["odd"].log).read_text()


def test_what_steps_print_is_kept_and_what_they_warn_of_is_told(probes: Probes) -> None:
    probes.run(probe("loud", SOURCE, print="hello", warn="mind this"), probe("quiet", SOURCE))
    assert (probes.root / "logs" / "loud.log").read_text() == "hello\nfrom below\n"
    assert not (probes.root / "logs" / "quiet.log").exists()
    assert probes.heard.notes == ["loud: mind this"]


def test_only_a_kind_that_says_so_is_tried_again(probes: Probes) -> None:
    tries, other = probes.root / "tries", probes.root / "other"
    flaky = probe("flaky", SOURCE, kind="probe_flaky", fails=[str(tries), 2])
    once = probe("once", SOURCE, fails=[str(other), 2])
    record = probes.run(flaky, once)
    assert statuses(record) == {"flaky": "ran", "once": "failed"}
    assert (tries.stat().st_size, other.stat().st_size) == (3, 1)
    assert sum("tried again" in note for note in probes.heard.notes) == 2


def test_a_kind_with_retries_is_tried_again_where_its_process_ends(probes: Probes) -> None:
    tries = probes.root / "tries"
    record = probes.run(probe("flaky", SOURCE, kind="probe_flaky", exits=[str(tries), 2]))
    assert statuses(record) == {"flaky": "ran"}
    assert tries.stat().st_size == 3


def test_a_step_that_takes_too_much_memory_is_never_tried_again(probes: Probes) -> None:
    tries = probes.root / "tries"
    big = probe("big", SOURCE, kind="probe_flaky", threads=str(tries), memory=400, seconds=20)
    record = probes.run(big, memory=200 << 20)
    assert statuses(record) == {"big": "failed"}
    assert len(tries.read_text().splitlines()) == 1


def test_a_step_whose_process_ends_has_failed_and_the_rest_goes_on(probes: Probes) -> None:
    record = probes.run(
        probe("dies", SOURCE, exit=3), probe("behind", "dies"), probe("lives", SOURCE)
    )
    assert statuses(record) == {"dies": "failed", "behind": "skipped", "lives": "ran"}
    (found,) = record["dies"].problems
    assert found.code == "killed" and "exit code 3" in found.message
    assert statuses(probes.run(probe("dies", SOURCE, text="now"))) == {"dies": "ran"}


def test_a_step_that_takes_too_much_memory_is_stopped(probes: Probes) -> None:
    most = 200 << 20
    record = probes.run(
        probe("big", SOURCE, memory=400, seconds=20), probe("small", SOURCE), memory=most
    )
    assert statuses(record) == {"big": "failed", "small": "ran"}
    (found,) = record["big"].problems
    assert found.code == "memory" and "200 MiB" in found.message
    assert record["big"].memory > most
    allowed = probes.run(probe("big", SOURCE, memory=400))
    assert statuses(allowed) == {"big": "ran"}
    assert allowed["big"].memory > 400 << 20


def test_what_earlier_steps_left_in_a_worker_is_not_the_next_ones(tmp_path: Path) -> None:
    with Workers(1) as alone:
        probes = Probes(tmp_path, alone)
        assert statuses(probes.run(probe("hoards", SOURCE, hoard=300))) == {"hoards": "ran"}
        record = probes.run(
            probe("small", SOURCE, seconds=0.3),
            probe("big", "small", memory=250, seconds=20),
            memory=200 << 20,
        )
    assert statuses(record) == {"small": "ran", "big": "failed"}


def test_a_step_alone_has_every_core_and_steps_side_by_side_share_them(probes: Probes) -> None:
    told = probes.root / "threads"
    many = [probe(f"p{n}", SOURCE, threads=str(told), text=str(n)) for n in range(4)]
    probes.run(*many, cores=8)
    assert {line.split()[1] for line in told.read_text().splitlines()} <= {"4", "8"}
    told.unlink()
    probes.run(probe("alone", SOURCE, threads=str(told)), cores=8)
    assert told.read_text() == "alone 8\n"
    told.unlink()
    probes.run(probe("stated", SOURCE, threads=str(told), text="stated"), cores=8, threads=3)
    assert told.read_text() == "stated 3\n"


def test_only_steps_that_use_threads_share_the_cores(probes: Probes) -> None:
    told, one, two = (str(probes.root / name) for name in ("threads", "one", "two"))
    record = probes.run(
        probe("a", SOURCE, kind="probe_tree", meet=[one, two]),
        probe("b", SOURCE, threads=told, meet=[two, one]),
        cores=8,
    )
    assert statuses(record) == {"a": "ran", "b": "ran"}
    assert Path(told).read_text() == "b 8\n"


def test_the_longest_way_by_earlier_times_starts_first(tmp_path: Path) -> None:
    with Workers(1) as alone:
        probes = Probes(tmp_path, alone)

        def steps(text: str) -> list[Step]:
            return [
                *(probe(f"a{n}", SOURCE, text=text + str(n)) for n in range(3)),
                probe("z", SOURCE, text=text, seconds=0.2),
                probe("z_behind", "z", text=text, seconds=0.2),
            ]

        probes.run(*steps("x"), workers=1)
        probes.run(*steps("y"), workers=1)
    assert probes.heard.started_steps[0] == "z"


def test_equal_outputs_stop_a_change(probes: Probes) -> None:
    def steps(text: str) -> tuple[Step, ...]:
        return probe("a", SOURCE, text=text), probe("b", "a", cut=True), probe("c", "b")

    assert set(statuses(probes.run(*steps("x"))).values()) == {"ran"}
    assert statuses(probes.run(*steps("y"))) == {"a": "ran", "b": "ran", "c": "hit"}
    assert set(statuses(probes.run(*steps("x"))).values()) == {"hit"}


def test_equal_steps_of_a_plan_are_made_once(probes: Probes) -> None:
    record = probes.run(*(probe(f"p{n}", SOURCE, seconds=0.1) for n in range(4)))
    assert sorted(statuses(record).values()) == ["hit", "hit", "hit", "ran"]
    assert len({result.outputs for result in record.results if result.step != SOURCE}) == 1
    assert probes.heard.waited == []  # nobody else makes it


def test_of_equal_steps_the_first_of_the_plan_is_made(tmp_path: Path) -> None:
    """As `compile` says, whichever is most urgent by earlier times."""
    with Workers(1) as alone:
        probes = Probes(tmp_path, alone)
        probes.run(probe("a", SOURCE, text="x"), probe("b", SOURCE, text="y", seconds=0.3))
        record = probes.run(probe("a", SOURCE, text="z"), probe("b", SOURCE, text="z"))
    assert statuses(record) == {"a": "ran", "b": "hit"}


def test_equal_steps_that_fail_have_each_failed(probes: Probes) -> None:
    record = probes.run(*(probe(f"p{n}", SOURCE, seconds=0.05, fail="no") for n in range(3)))
    assert statuses(record) == dict.fromkeys(("p0", "p1", "p2"), "failed")


def test_trees_are_read_and_written(probes: Probes) -> None:
    first = probes.run(probe("tree", SOURCE, kind="probe_tree", files=30), probe("x", SOURCE))
    digest = first["tree"].output("out")
    names = [name for name, _ in probes.state.store.blobs.tree(digest)]
    assert len(names) == 30 and names == sorted(names)


def test_a_damaged_input_is_made_again_first(probes: Probes) -> None:
    steps = (probe("a", SOURCE), probe("b", "a"))
    first = probes.run(*steps)
    place = probes.state.store.blobs.place(first["a"].output("out").sha256)
    place.chmod(0o644)
    place.write_bytes(b"x" * first["a"].output("out").size)
    record = probes.run(*steps, probe("c", "a", text="c"))
    assert statuses(record) == {"a": "ran", "b": "hit", "c": "ran"}
    assert any("damaged" in note for note in probes.heard.notes)
    assert record["a"].outputs == first["a"].outputs


def test_a_step_that_is_made_again_must_give_the_same(probes: Probes) -> None:
    steps = (probe("luck", SOURCE, chance=True), probe("b", "luck"))
    first = probes.run(*steps)
    probes.state.store.blobs.place(first["luck"].output("out").sha256).write_bytes(b"")
    record = probes.run(*steps, probe("c", "luck", text="c"))
    again = {"luck": "ran", "b": "ran", "c": "ran"}
    assert statuses(record) in (again, {**again, "luck": "failed", "b": "skipped", "c": "skipped"})
    place = probes.state.store.blobs.place(record["luck"].output("out").sha256)
    damaged = bytearray(place.read_bytes())
    damaged[0] ^= 1
    place.chmod(0o644)
    place.write_bytes(damaged)
    third = probes.run(*steps, probe("d", "luck", text="d"))
    assert third["luck"].status == "failed" and third["luck"].exit_code == 7
    assert [found.code for found in third["luck"].problems] == ["differs"]
    kept = probes.state.store.records.read(record["luck"].action)
    assert kept is not None and kept.outputs == record["luck"].outputs


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    """Each step is made by one of them; both end with every result."""
    steps = [probe(f"p{n}", SOURCE, text=str(n), seconds=0.02) for n in range(20)]
    steps += [probe(f"q{n}", f"p{n}", text=str(n)) for n in range(20)]
    records = {}
    with Workers(1) as none:
        lock = Probes(tmp_path, none).lock(*steps)

    def run(name: str) -> None:
        with Workers(2) as own:
            records[name] = Probes(tmp_path, own).execute(lock)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, two = records["one"], records["two"]
    assert one == two
    for name in statuses(one):
        assert {one[name].status, two[name].status} == {"ran", "hit"}


def test_a_run_of_hits_writes_nothing_and_starts_no_worker(probes: Probes) -> None:
    steps = (probe("a", SOURCE), probe("b", "a"))
    probes.run(*steps)
    store = probes.state.root / "store"

    def listing() -> set[Path]:
        return {path for path in store.rglob("*") if not path.name.startswith("index.")}

    before = listing()
    with Workers(2) as none:
        again = Probes(probes.root, none).run(*steps)
        assert not list(none)
    assert set(statuses(again).values()) == {"hit"}
    assert listing() == before


def test_scratch_and_claims_are_gone_after_a_run(probes: Probes) -> None:
    probes.run(probe("a", SOURCE), probe("bad", SOURCE, fail="no"), probe("dies", SOURCE, exit=1))
    store = probes.state.root / "store"
    assert not list((store / "scratch").iterdir())
    assert not [path for path in (store / "claims").rglob("*") if path.is_file()]


# Whatever is planned and changed, what is said of it is what happens.

texts = st.sampled_from(["", "x", "y"])


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """For each step the one or two earlier ones that it takes; -1 is the source."""
    count = draw(st.integers(1, 6))
    earlier = [draw(st.lists(st.integers(-1, n - 1), min_size=1, max_size=2)) for n in range(count)]
    return [tuple(found) for found in earlier]


def steps_of(
    graph: list[tuple[int, ...]], asked: list[tuple[str, bool]], broken: int | None
) -> list[Step]:
    steps = []
    for number, inputs in enumerate(graph):
        names = [SOURCE if place < 0 else f"s{place}" for place in inputs]
        text, cut = asked[number]
        kind = "probe_pair" if len(names) == 2 else "probe"
        told = {"text": text, "cut": cut} | ({"fail": "no"} if number == broken else {})
        steps.append(probe(f"s{number}", *names, kind=kind, **told))
    return steps


# ENGINE_EXAMPLES=300 looks for longer, and elsewhere each time.
_EXAMPLES = os.environ.get("ENGINE_EXAMPLES")


@settings(
    max_examples=int(_EXAMPLES or 15),
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(graph=graphs(), data=st.data())
def test_what_is_said_of_a_run_is_what_it_does(
    graph: list[tuple[int, ...]],
    data: st.DataObject,
    workers: Workers,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """`hit` never runs, `run` never hits, `maybe` does either: over plans, changes, ways back,
    failures and lost results."""
    probes = Probes(tmp_path_factory.mktemp("probes"), workers)
    choices = st.lists(st.tuples(texts, st.booleans()), min_size=len(graph), max_size=len(graph))
    for _ in range(data.draw(st.integers(1, 4))):
        broken = data.draw(st.none() | st.integers(0, len(graph) - 1))
        lock = probes.lock(*steps_of(graph, data.draw(choices), broken))
        said = {effect.step.name: effect.effect for effect in effects_of(lock, probes.state)}
        record = probes.execute(lock)
        for result in record.results:
            match said[result.step]:
                case "hit":
                    assert result.status == "hit"
                case "run":
                    assert result.status in ("ran", "failed")
        made = [result for result in record.results if result.outputs]
        if made and data.draw(st.booleans()):
            lost = data.draw(st.sampled_from(made)).outputs[0][1]
            Store(probes.state.root / "store").blobs.place(lost.sha256).unlink(missing_ok=True)


def test_no_worker_is_left_behind(tmp_path: Path) -> None:
    with Workers(2) as own:
        Probes(tmp_path, own).run(probe("a", SOURCE))
        pids = [worker.pid for worker in own]
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
