"""`store`: each of its actions on a project that was run, by what it says and what it leaves."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyarrow import csv, parquet

from mlops_compile.api.keeping import collect_garbage
from mlops_compile.api.locks import read_lock
from mlops_compile.api.roots import Kept
from mlops_compile.api.running import read_run
from mlops_compile.api.state import State
from mlops_compile.ir.digest import Digest, digest_of
from tests.project import SMALL, good, make, mlops, stored

CELL = b"1234.5678"  # of the data, and of nothing else
OTHER = (*SMALL, "model.params.num_leaves=5")
STEPS = 8  # of one plan
AGAIN = 3  # of them made again for OTHER: train, evaluate, package
ALL = STEPS + AGAIN


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a lock, of which one more config was run."""
    project = make(tmp_path_factory.mktemp("store_verb") / "project")
    data = project / "rows.csv"
    data.write_bytes(data.read_bytes() + b"30,Rome,true,2020-01-01 10:00:00,1234.5678,yes\n")
    good(project, "compile", *SMALL)
    good(project, "run", *SMALL)
    good(project, "run", *OTHER)
    return project


@pytest.fixture
def project(ran: Path, tmp_path: Path) -> Path:
    """A copy of it: a store may be copied."""
    return Path(shutil.copytree(ran, tmp_path / "project"))


def store(project: Path, *words: str) -> dict[str, Any]:
    return good(project, "store", *words, "--json").document


def effects(project: Path, *words: str) -> list[str]:
    steps = good(project, "compile", "-o", "other.json", "--json", *words).document["steps"]
    return [step["effect"] for step in steps]


def trained(project: Path) -> Digest:
    """The model of the first run."""
    record = read_run(min((project / "outputs").glob("*/*")))
    outputs = next(dict(r.outputs) for r in record.results if r.step == "train")
    return outputs["model"]


def git(project: Path, *words: str) -> None:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *own, *words], cwd=project, check=True, capture_output=True)


# du


def test_du_tells_where_the_bytes_are(project: Path) -> None:
    before = stored(project)
    found = store(project, "du")
    total = sum(map(len, before.values()))
    assert found["parts"]["blobs"] + found["parts"]["records"] == total
    assert sum(found["parts"].values()) == found["size"]
    for view in ("by_kind", "by_data", "by_last_use"):
        assert sum(share["size"] for share in found[view]) == total
        assert sum(share["action_count"] for share in found[view]) == found["action_count"] == ALL
    assert [share["name"] for share in found["by_data"]] == ["rows.csv"]
    assert [share["name"] for share in found["by_last_use"]] == ["today"]
    free = found["gc"]
    assert free["actions"] == {"train": 1, "evaluate": 1, "package": 1}
    assert free == store(project, "gc", "--dry-run")["freed"]
    said = good(project, "store", "du").out
    assert said.startswith(".mlops/store: ") and "by step kind\n" in said and " KiB" in said
    assert "gc would free" in said and "(1 evaluate, 1 package, 1 train)" in said
    assert stored(project) == before


def test_there_may_be_no_store(tmp_path: Path) -> None:
    assert good(tmp_path, "store", "du").out == ".mlops/store: nothing is stored\n"
    assert "nothing is wrong" in good(tmp_path, "store", "fsck").out
    assert "freed nothing" in good(tmp_path, "store", "gc").out
    assert not (tmp_path / ".mlops" / "store").exists()


def test_another_store_is_looked_at(project: Path, tmp_path: Path) -> None:
    found = store(tmp_path, "du", f"store.uri={project / '.mlops'}")
    assert found["action_count"] == ALL
    lock = project / "plan.lock.json"
    for words in (
        ("pin", "x", str(lock), "--json", "store.uri=here"),
        ("pin", "--json", "x", str(lock), "store.uri=here"),
        ("unpin", "x", "--json", "store.uri=here"),
    ):
        good(tmp_path, "store", *words)
    assert (tmp_path / "here" / "store" / "pins").is_dir() and not (tmp_path / ".mlops").exists()


# gc


def test_gc_keeps_what_the_lock_needs(project: Path) -> None:
    before = stored(project)
    would = store(project, "gc", "--dry-run")
    assert stored(project) == before
    did = store(project, "gc")
    assert {**did, "dry_run": True} == would
    after = stored(project)
    assert sum(map(len, before.values())) - sum(map(len, after.values())) == did["freed"]["size"]
    assert did["kept"] == {"action_count": STEPS, "size": sum(map(len, after.values()))}
    assert did["roots"] == ["plan.lock.json"] and "no git repository" in did["notes"][0]
    assert set(effects(project, *SMALL)) == {"hit"}
    assert effects(project, *OTHER).count("hit") == STEPS - AGAIN
    assert store(project, "gc")["freed"] == {"actions": {}, "blob_count": 0, "size": 0}
    good(project, "store", "fsck")
    answer = good(project, "store", "gc")
    assert answer.out.startswith(
        f"kept for: plan.lock.json\nfreed nothing\nstays: {STEPS} results, "
    )
    assert answer.err == "note: there is no git repository here, so no commit's lock is a root\n"


def test_gc_keeps_what_commits_need(project: Path) -> None:
    git(project, "init", "-q")
    git(project, "add", "plan.lock.json")
    git(project, "commit", "-qm", "one")
    git(project, "tag", "one")
    good(project, "compile", *OTHER)
    git(project, "commit", "-qam", "two")
    assert store(project, "gc")["freed"]["size"] == 0
    there = ("--ref", "HEAD", "--dry-run")
    assert store(project, "gc", *there)["freed"]["actions"] == {
        "evaluate": 1,
        "package": 1,
        "train": 1,
    }
    assert store(project, "gc", *there, "--ref", "one")["freed"]["size"] == 0
    unknown = mlops(project, "store", "gc", "--ref", "no", "--ref", "HEAD", "--ref", "neither")
    assert unknown.code == 3 and unknown.err.count("there is no git ref") == 2
    (project / "plan.lock.json").write_text("{")
    git(project, "commit", "-qam", "broken")
    before = stored(project)
    broken = mlops(project, "store", "gc")
    assert broken.code == 3 and "plan.lock.json" in broken.err and stored(project) == before
    known = good(project, "store", "du")  # tells the rest
    assert "what gc would free cannot be told" in known.out and "warning[MC" in known.err


def test_gc_keeps_what_is_pinned_and_what_runs_recorded(project: Path) -> None:
    (project / "plan.lock.json").unlink()
    runs = sorted((project / "outputs").glob("*/*"))
    shutil.copy(runs[0] / "plan.lock.json", project / "first.json")
    assert store(project, "pin", "best", "first.json")["before"] is None
    found = store(project, "gc", "--dry-run")
    assert found["roots"] == ["the pin best"] and sum(found["freed"]["actions"].values()) == AGAIN
    assert store(project, "gc", "--dry-run", "--keep-runs")["freed"]["size"] == 0
    latest = str(runs[-1].relative_to(project))
    assert store(project, "gc", "--dry-run", "--run", latest)["freed"]["size"] == 0
    again = good(project, "store", "pin", "best", f"{latest}/plan.lock.json").out
    first = read_lock(project / "first.json").digest[:12]
    assert again.startswith("pinned best: plan ") and again.endswith(
        f"it kept plan {first} before\n"
    )
    nothing = mlops(project, "store", "gc", "--run", "conf")
    assert nothing.code == 3 and "conf" in nothing.err
    assert "unpinned best" in good(project, "store", "unpin", "best").out
    gone = mlops(project, "store", "unpin", "best")
    assert gone.code == 2 and "there is no pin 'best'" in gone.err
    before = stored(project)
    unmeant = mlops(project, "store", "gc")
    assert unmeant.code == 3 and f"all {ALL} results would go" in unmeant.err
    assert stored(project) == before
    everything = good(project, "store", "gc", "--budget", "0")
    assert "kept for: nothing (there is no lock, pin or run)" in everything.out
    assert stored(project) == {}


def test_gc_keeps_what_a_killed_run_needs(project: Path) -> None:
    """It was killed after it had written its lock, and before its record."""
    (project / "plan.lock.json").unlink()
    last = max((project / "outputs").glob("*/*"))
    (last / "record.json").unlink()
    found = store(project, "gc", "--dry-run", "--keep-runs")
    name = str(last.relative_to(project))
    assert found["freed"]["size"] == 0 and name in found["roots"]
    assert f"{name} has no record.json; what its lock needs is kept" in found["notes"]
    named = mlops(project, "store", "gc", "--run", name)
    assert named.code == 3 and "record.json" in named.err


def test_projects_that_share_a_store_are_kept_apart(project: Path, tmp_path: Path) -> None:
    """Both have a file of the same name: no location means the other's, and what goes is said."""
    other = make(tmp_path / "other")
    uri = f"store.uri={project / '.mlops'}"
    good(other, "run", *SMALL, uri)
    mine, theirs = (digest_of((p / "rows.csv").read_bytes()).sha256 for p in (project, other))
    before = stored(project)
    for place in (project, other):
        answer = mlops(place, "store", "forget", "rows.csv", "--reason", "x", uri)
        ours, not_ours = (mine, theirs) if place is project else (theirs, mine)
        assert answer.code == 3 and f"{ours[:12]} (of this project), {not_ours[:12]}" in answer.err
    assert stored(project) == before
    found = store(project, "gc", "--dry-run")
    assert any("no lock of this project names (rows.csv)" in note for note in found["notes"])
    assert store(project, "forget", theirs, "--reason", "x")["action_count"] == STEPS
    assert store(project, "du")["action_count"] == ALL
    assert store(project, "forget", "rows.csv", "--reason", "x")["action_count"] == ALL


def test_gc_keeps_roots_that_are_given(project: Path) -> None:
    """As those of a registry: plans and digests."""
    lock = read_lock(project / "plan.lock.json")
    (project / "plan.lock.json").unlink()
    state = State(root=project / ".mlops")

    def would(*roots: Any) -> int:
        found = collect_garbage(state, project, Kept(roots=roots), dry_run=True)
        return found.collected.kept_actions

    assert would() == 0 and would(lock) == STEPS
    assert would(trained(project)) == 5  # the model, and all that it was made of


def test_gc_within_limits(project: Path) -> None:
    assert store(project, "gc", "--older-than", "1")["freed"]["size"] == 0
    assert store(project, "gc", "--budget", "1G")["freed"]["size"] == 0
    total = store(project, "du")["parts"]
    most = total["blobs"] + total["records"] - 1
    found = store(project, "gc", "--budget", str(most))
    assert 0 < sum(found["freed"]["actions"].values()) < 3
    assert found["kept"]["size"] <= most


# fsck


def flip(place: Path) -> None:
    text = bytearray(place.read_bytes())
    text[len(text) // 2] ^= 1
    place.chmod(0o644)
    place.write_bytes(text)
    place.chmod(0o444)


def test_fsck_names_and_mends(project: Path) -> None:
    before = stored(project)
    clean = good(project, "store", "fsck").out
    assert clean.startswith(f".mlops/store: {ALL} results, ") and clean.endswith(
        "nothing is wrong\n"
    )
    model = trained(project).sha256
    place = project / ".mlops" / "store" / "blobs" / model[:2] / model
    flip(place)
    damaged = stored(project)
    dry = mlops(project, "store", "fsck", "--dry-run")
    assert dry.code == 7 and stored(project) == damaged
    assert f"blob {model[:12]}: its bytes are not what its name says\n" in dry.out
    assert "of train from rows.csv; made again by the next run that needs it\n" in dry.out
    assert "1 thing wrong; `mlops-compile store fsck` mends what is\n" in dry.out
    did = mlops(project, "store", "fsck", "--json")
    assert did.code == 7 and did.document["status"] == "wrong" and not did.err
    faults = {fault["what"]: fault for fault in did.document["faults"]}
    assert set(faults) == {"blob", "record"} and faults["blob"]["steps"] == ["train"]
    assert faults["blob"]["data"] == ["rows.csv"] and faults["blob"]["name"] == model
    assert store(project, "fsck")["faults"] == []
    runs = [good(project, "run", *words, "--json").document for words in (SMALL, OTHER)]
    ran = [s["name"] for document in runs for s in document["steps"] if s["status"] == "ran"]
    assert ran == ["train"]
    after = stored(project)
    blobs = {name: text for name, text in before.items() if name.startswith("blobs")}
    assert {name: after[name] for name in blobs} == blobs


def test_a_copy_of_a_source_is_named(project: Path) -> None:
    """What was made of it stays, and a run makes nothing again."""
    digest = digest_of((project / "rows.csv").read_bytes()).sha256
    place = project / ".mlops" / "store" / "blobs" / digest[:2] / digest
    flip(place)
    said = mlops(project, "store", "fsck")
    assert said.code == 7 and "what was made of this copy stays" in said.out
    assert "made again by the next run" not in said.out
    said = good(project, "store", "fsck")
    assert f"note: there is no copy of rows.csv ({digest[:12]}); its results stay" in said.out
    assert store(project, "fsck")["uncopied"] == [{"digest": digest, "data": "rows.csv"}]
    steps = good(project, "run", *SMALL, "--json").document["steps"]
    assert {step["status"] for step in steps} == {"hit"}


def test_an_index_that_lags_behind_is_a_note(project: Path) -> None:
    (project / ".mlops" / "store" / "index.sqlite").unlink()
    said = good(project, "store", "fsck").out
    assert "note: the index lags behind: it was not there; it is written anew\n" in said
    assert said.endswith("nothing is wrong\n")
    assert store(project, "fsck")["index_behind"] == []


def test_fsck_sweeps_what_died(project: Path) -> None:
    root = project / ".mlops" / "store"
    (root / "claims" / ("ab" * 32)).touch()
    (root / "scratch" / "dead").mkdir()
    (root / "scratch" / "dead" / ".lock").touch()
    (root / "blobs" / "ab").mkdir(exist_ok=True)
    (root / "blobs" / "ab" / ".new-x").touch()
    said = mlops(project, "store", "fsck")
    assert said.code == 7 and "2 leftovers of dead processes, swept away" in said.out
    assert "file blobs/ab/.new-x: is the rest of a write" in said.out
    assert store(project, "fsck")["swept"] == 0


# forget


def holders(project: Path, text: bytes) -> set[str]:
    """The files of the state that hold some bytes."""
    files = (path for path in (project / ".mlops").rglob("*") if path.is_file())
    return {str(path.relative_to(project)) for path in files if text in path.read_bytes()}


@pytest.mark.parametrize("by", ["location", "path", "digest"])
def test_forget_leaves_nothing_of_a_source(project: Path, by: str) -> None:
    data = project / "rows.csv"
    digest = digest_of(data.read_bytes()).sha256
    good(project, "store", "pin", "it")
    flip(project / ".mlops" / "store" / "blobs" / digest[:2] / digest)
    mlops(project, "store", "fsck")  # now in quarantine
    good(project, "run", *SMALL)
    assert holders(project, CELL)
    what = {"location": "rows.csv", "path": f"{project}/rows.csv", "digest": digest[:8]}[by]
    before = stored(project)
    would = store(project, "forget", what, "--reason", "they asked", "--dry-run")
    assert stored(project) == before and not holders(project, b"they asked")
    did = store(project, "forget", what, "--reason", "they asked")
    assert {**did, "dry_run": True} == would
    assert did["sources"] == [digest] and did["locations"] == ["rows.csv"]
    assert did["action_count"] == ALL and did["pins"] == ["it"] and len(did["runs"]) == 3
    assert stored(project) == {} and not holders(project, CELL)
    assert holders(project, digest.encode()) == {".mlops/store/forgotten.jsonl"}
    line = json.loads((project / ".mlops" / "store" / "forgotten.jsonl").read_text())
    assert line["reason"] == "they asked" and line["sources"] == [digest] and "when" in line
    assert store(project, "fsck")["status"] == "ok"
    data.unlink()
    again = mlops(project, "store", "forget", what, "--reason", "once more")
    assert again.code == 3 and "[MC0095]" in again.err


@pytest.mark.parametrize("gone", [False, True])
def test_forget_of_a_file_forgets_its_folder(tmp_path: Path, gone: bool) -> None:
    project = make(tmp_path / "project")
    (project / "pq").mkdir()
    table = csv.read_csv(project / "rows.csv")
    for name, rows in (("a", table[:120]), ("b", table[120:])):
        parquet.write_table(rows, project / "pq" / f"{name}.parquet")
    folder = ("data.source.kind=parquet", "data.source.path=pq")
    good(project, "compile", *SMALL, *folder)
    good(project, "run", *SMALL, *folder)
    digest = read_lock(project / "plan.lock.json").source("data").digest.sha256
    if gone:  # the list of the folder's files, which is in the store, tells what it was
        (project / "pq" / "a.parquet").unlink()
    no = mlops(project, "store", "forget", "pq/c.parquet", "--reason", "x")
    assert no.code == 3 and "nothing of a source 'pq/c.parquet'" in no.err
    did = store(project, "forget", "pq/a.parquet", "--reason", "they asked")
    assert digest in did["sources"] and len(did["sources"]) == 2 and did["locations"] == ["pq"]
    assert did["action_count"] == STEPS and stored(project) == {}


def test_forget_keeps_what_other_data_gave(project: Path) -> None:
    data = project / "rows.csv"
    old = digest_of(data.read_bytes()).sha256
    data.write_bytes(data.read_bytes().replace(b"\n", b"\r\n"))
    good(project, "run", *SMALL)
    said = good(project, "store", "forget", old[:8], "--reason", "old").out
    assert (
        said.startswith(f"forgot rows.csv ({old[:12]}): ") and "which other data gave too" in said
    )
    assert "these run directories are yours, and still tell of it:\n  outputs/" in said
    assert good(project, "store", "fsck")
    statuses = good(project, "run", *SMALL, "--json").document["steps"]
    assert {step["status"] for step in statuses} <= {"hit", "ran"}


def test_forget_waits_for_no_run(project: Path) -> None:
    state = State(root=project / ".mlops")
    with state.store.scratch((project / "plan.lock.json").read_text()):
        before = stored(project)
        answer = mlops(project, "store", "forget", "rows.csv", "--reason", "x")
        assert answer.code == 7 and "a run goes on that uses this source" in answer.err
        assert stored(project) == before


# What is refused


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "ACTION"),
        (("dust",), 2, "invalid choice"),
        (("du", "--budget", "1G"), 2, "store du has no option --budget"),
        (("gc", "--budget", "many"), 2, "a size is a number with K, M, G or T"),
        (("gc", "--older-than", "-1"), 2, "a number of days from 0"),
        (("gc", "--older-than", "nan"), 2, "a number of days from 0"),
        (("pin",), 2, "NAME"),
        (("pin", "../x"), 2, "'../x' cannot be a pin"),
        (("pin", "x", "no.json"), 3, "there is no lock no.json"),
        (("forget", "rows.csv"), 2, "--reason"),
        (("forget", "rows.csv", "--reason", " "), 2, "a reason is needed"),
        (("forget", "abc", "--reason", "x"), 3, "nothing of a source 'abc'"),
        (("forget", "no.csv", "--reason", "x"), 3, "nothing of a source 'no.csv'"),
        (("du", "store.uro=x"), 3, "uro"),
    ],
)
def test_what_cannot_be_done_is_told(
    ran: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    before = stored(ran)
    answer = mlops(ran, "store", *words, "--json")
    assert answer.code == code and says in answer.err
    assert answer.document["problems"]
    assert stored(ran) == before


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500", 500), ("2k", 2048), ("1.5MiB", 1572864), ("3 GB", 3 << 30), ("1T", 1 << 40)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    from mlops_compile.cli.store_verbs import _size

    assert _size(text) == size
