"""Several processes behind one socket: their counts, their ends, and bundles that are swapped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving import EXAMPLE, Running, lines_of, people, write

FIRST, SECOND = "ab" * 32, "12" * 32


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    return [int(word) for word in text.split()]


def _served(running: Running) -> list[int]:
    """The two processes that are left once those that were replaced have ended."""
    for _ in range(1200):
        if len(found := _children(running.process.pid)) == 2:
            break
        time.sleep(0.05)
    return found


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """Two bundles, `first` and `second`, and a link `current` to the first."""
    root = tmp_path / "bundles"
    write(people(FIRST), root / "first")
    write(people(SECOND), root / "second")
    (root / "current").symlink_to("first")
    return root


class Load:
    """Clients that ask without a pause, and what they were answered."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self.models: Counter[str] = Counter()
        self.failed: list[object] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(clients)]

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            while not self._over.is_set():
                try:
                    answer = client.post("/predict", json=EXAMPLE)
                    answer.raise_for_status()
                    self.models[answer.json()["model"]] += 1
                except httpx.HTTPError as error:
                    self.failed.append(error)

    def wait_for(self, model: str, answers: int = 50) -> None:
        wanted = self.models[model] + answers
        for _ in range(6000):
            if self.models[model] >= wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"{model[:4]} does not answer: {self.models}, {self.failed[:3]}")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def _service(bundles: Path, *flags: str, **variables: str) -> Iterator[Running]:
    command = ("--workers", "2", "--bundles", str(bundles), "--bundle", str(bundles / "current"))
    with Running(bundles / "first", *command, *flags, **variables) as running:
        yield running


def _swap(running: Running, name: object, **more: object) -> httpx.Response:
    return running.client.post("/admin/swap", json={"bundle": name, **more})


def test_counts_are_those_of_all_processes(bundles: Path, tmp_path: Path) -> None:
    """Of those that ended, and those of another bundle, too."""
    with _service(bundles, "--log", str(tmp_path / "log")) as running:
        with Load(running.url) as load:
            load.wait_for(FIRST, 100)
            for process in _children(running.process.pid):
                os.kill(process, signal.SIGTERM)  # they end as if they were told to
            load.wait_for(FIRST, 300)
            assert _swap(running, "second").status_code == 200
            load.wait_for(SECOND, 100)
        assert load.failed == []
        answers = sum(load.models.values())
        for _ in range(200):  # until the last of the replaced has ended
            metrics = running.metrics()
            if metrics["mlops_workers"] == 2:
                break
            time.sleep(0.05)
        assert metrics["mlops_prediction_score_count"] == answers
        assert metrics['mlops_http_requests_total{path="/predict",status="200"}'] == answers
        (fact,) = [sample for sample in metrics if sample.startswith("mlops_bundle_info")]
        assert f'model="{SECOND}"' in fact and metrics[fact] == 1
    assert len(lines_of(tmp_path / "log", "predictions")) == answers


def test_a_swap_there_and_back_drops_no_request(bundles: Path) -> None:
    with _service(bundles) as running, Load(running.url) as load:
        load.wait_for(FIRST)
        answer = _swap(running, "second")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["bundle"]["model"], told["before"]["model"]) == (SECOND, FIRST)
        load.wait_for(SECOND)
        back = _swap(running, "first", digest=told["before"]["digest"])
        assert back.json()["bundle"] == told["before"]
        load.wait_for(FIRST)
        assert load.failed == []
        assert len(_served(running)) == 2


def test_what_a_killed_parent_left_is_removed_and_nothing_else(
    bundles: Path, tmp_path: Path
) -> None:
    places = tmp_path / "tmp"
    (places / "kept").mkdir(parents=True)
    (places / "kept" / "file").write_text("x")
    (places / "mlops-metrics-link").symlink_to(places / "kept")
    (places / "mlops-metrics-file").write_text("x")
    others = {*places.iterdir()}
    killed = Running(bundles / "first", "--workers", "1", TMPDIR=str(places))
    (left,) = {*places.iterdir()} - others
    killed.process.kill()
    killed.end(-9)
    assert left.is_dir()
    with Running(bundles / "first", "--workers", "1", TMPDIR=str(places)) as first:
        assert not left.exists()
        (own,) = {*places.iterdir()} - others
        with Running(bundles / "second", "--workers", "1", TMPDIR=str(places)):
            assert own.is_dir() and len({*places.iterdir()} - others) == 2
        assert first.predict().status_code == 200 and first.metrics()["mlops_workers"] == 1
    assert {*places.iterdir()} == others
    assert (places / "kept" / "file").read_text() == "x"


def test_a_hangup_looks_at_the_link_again(bundles: Path) -> None:
    with _service(bundles) as running, Load(running.url) as load:
        load.wait_for(FIRST)
        (bundles / "new").symlink_to("second")
        (bundles / "new").rename(bundles / "current")
        running.signal(signal.SIGHUP)
        load.wait_for(SECOND)
        assert load.failed == []


def test_a_bundle_that_is_not_well_does_not_come_in(bundles: Path) -> None:
    """It is refused by what is wrong with it; what is served goes on."""
    corrupt, broken = bundles / "corrupt", bundles / "broken"
    shutil.copytree(bundles / "second", corrupt)
    (corrupt / "trees.py").write_text("x = 1\n", "utf-8")
    write(people(SECOND), broken, **{"scorer.py": "1 / 0\n"})
    commanded = shutil.copytree(bundles / "second", bundles / "command")
    (commanded / "app.py").unlink()
    facts = json.loads((commanded / "bundle.json").read_text("utf-8"))
    del facts["files"]["app.py"]
    (commanded / "bundle.json").write_text(json.dumps({**facts, "target": "batch"}), "utf-8")
    (bundles / "file").write_text("x", "utf-8")
    (bundles.parent / "outside").mkdir()
    with _service(bundles) as running, Load(running.url, clients=2) as load:
        for name, status, says in (
            ("corrupt", 409, "trees.py is not the file that was packaged"),
            ("broken", 409, "ZeroDivisionError"),
            ("command", 409, "is the bundle of no service: deploy.target was 'batch'"),
            ("nothing", 404, "no bundle 'nothing'"),
            ("file", 404, "no bundle"),
            ("../outside", 404, "no bundle"),
            ("/etc", 404, "no bundle"),
            (".", 404, "no bundle"),
            ("a\0b", 404, "no bundle"),
        ):
            answer = _swap(running, name)
            assert answer.status_code == status and says in answer.json()["detail"], answer.text
        other = _swap(running, "second", digest="0" * 64)
        assert other.status_code == 409 and "not 000" in other.json()["detail"]
        for body in ({}, {"bundle": 1}, []):
            assert running.client.post("/admin/swap", json=body).status_code == 422
        load.wait_for(FIRST)
        assert load.failed == [] and [*load.models] == [FIRST]


def test_a_worker_that_dies_is_replaced(bundles: Path) -> None:
    with _service(bundles) as running:
        assert _swap(running, "second").status_code == 200  # both are ready
        before = _served(running)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        for _ in range(600):
            now = _children(running.process.pid)
            if before[0] not in now and len(now) == 2:
                break
            time.sleep(0.05)
        assert len(now) == 2 and before[1] in now
        running.wait_until_ready()
        assert running.predict().status_code == 200


def test_workers_do_not_outlive_their_parent(bundles: Path) -> None:
    with _service(bundles) as running:
        children = _children(running.process.pid)
        running.signal(signal.SIGKILL)
        running.process.wait()
        for _ in range(600):
            if not any(Path(f"/proc/{child}").exists() for child in children):
                break
            time.sleep(0.05)
        assert not any(Path(f"/proc/{child}").exists() for child in children)
        running.end(-9)
        running.process.returncode = 0


def test_without_workers_there_is_no_swap(tmp_path: Path) -> None:
    with Running(write(people(), tmp_path / "bundle")) as running:
        answer = _swap(running, "second")
        assert answer.status_code == 409 and "--workers and --bundles" in answer.json()["detail"]
