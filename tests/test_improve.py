"""The loop: a champion is made better from its log and feedback where that is asked for, once."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from mlops_compile.steps.tables import read_table
from tests.living import AFTER, START, WEEK, WORDS, Service, lived, people
from tests.project import apart, good, mlops, package_environment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived(tmp_path_factory.mktemp("improve") / "project")


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def improve(project: Path, *words: str, until: str = AFTER) -> dict[str, Any]:
    answer = good(project, "improve", "shop", "--until", until, "--json", "--quiet", *WORDS, *words)
    found: dict[str, Any] = answer.document
    return found


def listed(project: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = good(project, "registry", "list", "--json").document["versions"]
    return found


def champion(project: Path) -> int:
    (found,) = (one["version"] for one in listed(project) if "champion" in one["aliases"])
    assert isinstance(found, int)
    return found


def test_a_stable_week_asks_for_nothing(project: Path) -> None:
    found = improve(project, until=(START + WEEK).isoformat())
    assert (found["status"], found["triggers"]) == ("quiet", [])
    assert len(listed(project)) == 1


def test_a_change_of_units_is_learned_and_promoted_once(project: Path) -> None:
    """What wins takes the place, a second call finds nothing new, and a rollback goes back."""
    found = improve(project, "improve.policy=promote")
    assert found["status"] == "promoted"
    assert any("amount" in trigger for trigger in found["triggers"])
    contest = found["result"]["contest"]
    assert contest["recent"]["new"] > contest["recent"]["old"] and contest["wins"]
    assert champion(project) == 2
    report = (project / found["report"]).read_text("utf-8")
    assert "shop:2 takes the place of shop:1" in report and "### Plan:" in report
    again = improve(project, "improve.policy=promote")
    assert again["status"] in ("quiet", "waiting") and len(listed(project)) == 2
    good(project, "registry", "rollback", "shop")
    assert champion(project) == 1
    done = improve(project, "improve.policy=promote")
    assert done["status"] == "done" and champion(project) == 1
    events = good(project, "registry", "history", "--json").document["events"]
    whats = [(event["what"], event["version"]) for event in events]
    assert whats == [
        ("rolled back", 1),
        ("promoted", 2),
        ("registered", 2),
        ("promoted", 1),
        ("registered", 1),
    ]
    assert found["round"] in events[1]["reason"]


def test_a_challenger_that_wins_is_left_for_review(project: Path) -> None:
    found = improve(project)
    assert found["status"] == "review" and champion(project) == 1
    aliases = {one["version"]: one["aliases"] for one in listed(project)}
    assert aliases[2] == ["challenger"]
    assert improve(project)["status"] == "done"
    assert len(listed(project)) == 2


def test_rows_stay_in_their_parts_and_recent_ones_are_kept_out(project: Path) -> None:
    found = improve(project)
    directory = (project / found["report"]).parent
    table = pyarrow.parquet.read_table(directory / "snapshot.parquet").to_pylist()
    recent = read_table(directory / "recent.arrow").to_pylist()
    lock = json.loads((directory / "run" / "plan.lock.json").read_text("utf-8"))
    assert lock["sources"]["data"]["kind"] == "parquet"

    def content(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("age", "city", "amount", "target"))

    learned = {content(row) for row in table if row["mlops_part"] == "train"}
    tested = {content(row) for row in table if row["mlops_part"] == "test"}
    assert not learned & tested
    assert not {content(row) for row in recent} & (learned | tested)
    base = {(r["age"], r["city"], r["amount"], r["target"]) for r in people(1500, 0)}
    assert base <= learned | tested
    held_out = {content(row) for row in table[:1500] if row["mlops_part"] == "test"}
    assert len(held_out) == 375  # test_size 0.25: those of the first run
    assert found["result"]["data"]["recent"] == len(recent) == round(0.3 * 1400)


@pytest.mark.parametrize("share", [0.4, 0.35])
def test_one_source_may_not_outweigh_the_rest(project: Path, share: float) -> None:
    """No city is more than its share of what is learned, nor of what is compared on."""
    found = improve(project, "improve.source=city", f"improve.most_source={share}")
    directory = (project / found["report"]).parent
    table = pyarrow.parquet.read_table(directory / "snapshot.parquet").to_pylist()[1500:]
    recent = read_table(directory / "recent.arrow").to_pylist()
    for rows in (table, recent):
        counts = [sum(row["city"] == city for row in rows) for city in ("Oslo", "Rome", "Lyon")]
        assert 0 < max(counts) <= share * len(rows)
    told = found["result"]["data"]
    assert (told["learned"], told["recent"]) == (len(table), len(recent))
    assert told["capped"] == 1400 - len(table) - len(recent)
    assert {row["mlops_part"] for row in table} == {"train", "test"}
    wrong = mlops(project, "improve", "shop", *WORDS, "improve.source=town")
    assert wrong.code == 3 and "'town' is no column of a request" in wrong.err


def test_too_few_labelled_rows_are_waited_for(project: Path) -> None:
    found = improve(project, "improve.least_rows=5000")
    assert found["status"] == "waiting" and found["triggers"]
    assert found["labelled_rows"] == 1400 and len(listed(project)) == 1


def test_a_challenger_that_misses_a_gate_is_no_version(project: Path) -> None:
    """It is told once, with exit 6; the same rows are not tried again."""
    words = ("improve", "shop", "--until", AFTER, "--quiet", *WORDS)
    gate = "evaluate.gates={roc_auc: '>= 0.9999'}"
    answer = mlops(project, *words, gate)
    assert answer.code == 6 and "gates are not met" in answer.out, answer.out + answer.err
    again = mlops(project, *words, gate)
    assert again.code == 0 and "closed: nothing new since" in again.out
    assert len(listed(project)) == 1 and champion(project) == 1


def test_a_test_row_that_is_asked_again_is_not_learned(project: Path) -> None:
    """Whatever is said to be true of it then."""
    rows = people(1500, 0)
    (bundle,) = project.glob("outputs/*/*/bundle")
    service = Service(bundle=bundle, log=project / "log")
    ids = service.ask(rows, "again", START + WEEK)
    other = ["no" if row["target"] == "yes" else "yes" for row in rows]
    service.tell(ids, other, "again", START + WEEK)
    found = improve(project)
    table = pyarrow.parquet.read_table((project / found["report"]).parent / "snapshot.parquet")

    def asked(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("age", "city", "amount"))

    held = table.to_pylist()
    tested = {asked(row) for row in held[:1500] if row["mlops_part"] == "test"}
    assert not tested & {asked(row) for row in held[1500:]}


def test_a_champion_that_changed_meanwhile_stays(project: Path) -> None:
    """What won against another one takes no place; and what was decided, but cut off, is done."""
    found = improve(project, "improve.policy=promote")
    assert champion(project) == 2
    file = (project / found["report"]).parent / "result.json"
    good(project, "registry", "rollback", "shop")
    good(project, "run", "--json", *WORDS, "seed=3")
    good(project, "registry", "promote", "shop:3", "--force", "to see")
    text = file.read_text("utf-8").replace(found["round"], "0123456789ab")
    moved = file.parent.parent / "0123456789ab"
    file.parent.rename(moved)
    (moved / "result.json").write_text(text, "utf-8")
    improve(project, "improve.policy=promote", until=(START + WEEK).isoformat())
    assert champion(project) == 3
    assert json.loads((moved / "result.json").read_text("utf-8"))["status"] == "kept"
    good(project, "registry", "promote", "shop:1", "--force", "to see")
    (moved / "result.json").write_text(text, "utf-8")
    improve(project, "improve.policy=promote", until=(START + WEEK).isoformat())
    assert champion(project) == 2


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_damaged_round_says_so(project: Path, text: str) -> None:
    found = improve(project)
    file = (project / found["report"]).parent / "result.json"
    file.write_text(text, "utf-8")
    answer = mlops(project, "improve", "shop", "--until", AFTER, *WORDS)
    assert answer.code == 7 and "result.json is damaged" in answer.err
    assert "remove the directory" in answer.err


@pytest.mark.parametrize("name", ["../esc", "shop:1", ""])
def test_a_name_is_a_name(project: Path, name: str) -> None:
    answer = mlops(project, "improve", name, *WORDS)
    assert answer.code == 2 and "is no name of a model" in answer.err
    assert not (project / ".mlops" / "improve").exists()


def test_without_a_champion_there_is_nothing_to_improve(project: Path) -> None:
    answer = mlops(project, "improve", "other", *WORDS)
    assert answer.code == 2 and "other has no champion" in answer.err


def test_two_at_once_make_one_challenger(project: Path) -> None:
    words = ("improve", "shop", "--until", AFTER, "--json", "--quiet", *WORDS)
    with ThreadPoolExecutor(2) as pool:
        both = [*pool.map(lambda _: apart(project, *words), range(2))]
    assert [one.code for one in both] == [0, 0]
    assert sorted(one.document["status"] for one in both) == ["done", "review"]
    assert len(listed(project)) == 2


def test_who_waits_for_another_one_says_so(project: Path) -> None:
    file = project / ".mlops" / "improve" / "shop" / "lock"
    file.parent.mkdir(parents=True)
    words = ("improve", "shop", "--until", (START + WEEK).isoformat(), *WORDS)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops_compile", *words],
            cwd=project,
            env=package_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
    told = (line, *process.communicate())
    assert line.startswith("another improve of shop is at work") and "/shop/lock" in line, told
    assert process.returncode == 0 and "nothing asks" in told[1]


@pytest.mark.parametrize("kind", ["validate", "split", "package"])
def test_results_that_are_gone_are_no_bug(project: Path, kind: str) -> None:
    """A store that lost what the champion was made of is told, with what to do, and once that is
    done, the loop goes on."""
    actions = project / ".mlops" / "store" / "actions"
    for file in actions.rglob("*"):
        if file.is_file() and json.loads(file.read_text("utf-8"))["record"]["kind"] == kind:
            file.unlink()
    lost = mlops(project, "improve", "shop", "--until", AFTER, *WORDS)
    assert lost.code == 7 and "the store has no" in lost.err, lost.err
    assert "run --plan FILE" in lost.err
    (ran,) = (project / "outputs").glob("*/*")
    good(project, "run", "--plan", str(ran / "plan.lock.json"), "--quiet")
    assert improve(project)["status"] == "review"


@pytest.mark.parametrize("place", ["improve", "cache", "room"])
def test_a_full_disk_is_no_bug(project: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Wherever there is no room, that is said, and with room the same call ends as it should."""
    disk = project / ("room" if place == "room" else f".mlops/{place}")
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed")
    try:
        with monkeypatch.context() as patch:
            if place == "room":
                patch.setattr("tempfile.tempdir", str(disk))
            full = mlops(project, "improve", "shop", "--until", AFTER, *WORDS)
            assert full.code == 7 and "cannot be written: No space left" in full.err, full.err
            assert f"/{disk.name}/" in full.err and len(listed(project)) <= 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert improve(project)["status"] == "review" and len(listed(project)) == 2


@pytest.mark.slow
def test_a_killed_round_is_gone_on_with(project: Path, tmp_path: Path) -> None:
    """Killed wherever it is, the next call ends with what an undisturbed one would have made."""
    other = Path(shutil.copytree(project, tmp_path / "undisturbed"))
    wanted = improve(other)["result"]
    words = ("improve", "shop", "--until", AFTER, "--quiet", *WORDS)
    for seconds in (1.5, 3.0, 4.5, 6.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops_compile", *words],
            cwd=project,
            env=package_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    found = improve(project)["result"]
    assert found == wanted
    assert [one["model"] for one in listed(project)] == [one["model"] for one in listed(other)]
