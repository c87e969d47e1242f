"""What a service keeps: predictions and feedback by id, and who may ask for what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import EXAMPLE, Running, hiding, lines_of, people, write

KINDS = "urn:mlops-compile:problem:"
LOG = {"sensitive": "omit", "max_bytes": 67_108_864, "max_files": 16, "queue": 10_000}


def test_a_line_for_each_record(tmp_path: Path) -> None:
    bundle, log = write(people(), tmp_path / "bundle"), tmp_path / "log"
    with Running(bundle, "--log", str(log)) as running:
        one = running.predict(**{"x-request-id": "one"}).json()
        running.predict([{**EXAMPLE, "job": None}, {"age": 1, "paid": False}])
        running.predict({})
        running.predict([])
    first, second, third = lines_of(log, "predictions")
    assert [*first] == ["v", "id", "time", "model", "plan", "record", "answer", "seconds"]
    assert (first["v"], first["id"], first["model"]) == (1, "one", "ab" * 32)
    assert first["plan"] == "cd" * 32 and first["time"].endswith("Z")
    assert first["record"] == {**EXAMPLE, "from": "2024-01-31T12:00:00Z"}
    assert first["answer"] == {name: one[name] for name in first["answer"]}
    assert second["record"]["job"] is None
    assert third["record"] == {"age": 1.0, "from": None, "job": None, "paid": False}
    assert (second["id"][-2:], third["id"][-2:]) == (":0", ":1")
    assert all(file.stat().st_mode & 0o007 == 0 for file in log.iterdir())


def test_no_log_is_kept_unless_there_is_a_place(tmp_path: Path) -> None:
    with Running(write(people(), tmp_path / "bundle")) as running:
        assert running.predict().status_code == 200
        answer = running.client.post("/feedback", json={"id": "x", "truth": "yes"})
        assert (answer.status_code, answer.json()["type"]) == (503, f"{KINDS}no-log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "cache"]


def test_sensitive_columns_are_left_out(tmp_path: Path) -> None:
    bundle, log = write(hiding(people(), "job", "from"), tmp_path / "bundle"), tmp_path / "log"
    with Running(bundle, "--log", str(log)) as running:
        running.predict()
    (line,) = lines_of(log, "predictions")
    assert line["record"] == {"age": 38.0, "paid": True}
    assert all(b"cook" not in file.read_bytes() for file in log.iterdir())


def test_sensitive_columns_are_hashed_by_a_key(tmp_path: Path) -> None:
    spec = hiding(people(log={**LOG, "sensitive": "hash"}), "job", "age")
    bundle, log = write(spec, tmp_path / "bundle"), tmp_path / "log"
    with Running(bundle, "--log", str(log), MLOPS_HASH_KEY="secret") as running:
        running.predict([EXAMPLE, {**EXAMPLE, "job": None}])
    first, second = (line["record"] for line in lines_of(log, "predictions"))
    expected = hmac.new(b"secret", b'job\0"cook"', hashlib.sha256).hexdigest()
    assert first["job"] == f"hmac-sha256:{expected}" and second["job"] is None
    assert first["age"] == second["age"] != first["job"]
    command = [sys.executable, "app.py", "--log", str(log)]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "MLOPS_HASH_KEY holds no key" in done.stderr


def test_files_are_rotated_by_size_and_the_oldest_removed(tmp_path: Path) -> None:
    spec = people(log={**LOG, "max_bytes": 1024, "max_files": 3})
    bundle, log = write(spec, tmp_path / "bundle"), tmp_path / "log"
    with Running(bundle, "--log", str(log)) as running:
        for number in range(30):
            running.predict(**{"x-request-id": f"r{number}"})
            while running.metrics()["mlops_log_records_total"] <= number:
                pass
        running.client.post("/feedback", json={"id": "r1", "truth": "no"})
    files = sorted(log.glob("predictions-*"))
    assert len(files) == 3
    assert all(1024 <= file.stat().st_size < 2048 for file in files[:-1])
    ids = [line["id"] for line in lines_of(log, "predictions")]
    assert ids == [f"r{number}" for number in range(30 - len(ids), 30)]


def test_what_finds_no_room_is_counted_and_answered(tmp_path: Path) -> None:
    """The queue is short: a list that is longer is not logged, whole."""
    bundle = write(people(log={**LOG, "queue": 2}), tmp_path / "bundle")
    with Running(bundle, "--log", str(tmp_path / "log")) as running:
        assert running.predict([EXAMPLE] * 3).status_code == 200
        assert running.metrics()['mlops_log_dropped_total{reason="full"}'] == 3
        assert running.predict([EXAMPLE] * 2).status_code == 200
    assert len(lines_of(tmp_path / "log", "predictions")) == 2


SMALL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
sys.argv = ["app.py", *sys.argv[1:]]
sys.path.insert(0, ".")
runpy.run_path("app.py", run_name="__main__")
"""


def test_a_full_disk_hurts_no_request(tmp_path: Path) -> None:
    """A file may not grow: what does not fit is counted, and whole lines stay."""
    spec, log = people(), tmp_path / "log"
    bundle = write(spec, tmp_path / "bundle")
    with Running(bundle):
        pass  # the scorer is compiled, which needs room
    with Running(bundle, "--log", str(log), program=("-c", SMALL)) as running:
        for _ in range(30):
            assert running.predict().status_code == 200
        truths = [{"id": f"x:{number}", "truth": "yes"} for number in range(60)]
        answer = running.client.post("/feedback", json=truths)
        assert (answer.status_code, answer.json()["type"]) == (503, f"{KINDS}no-room")
        few = running.client.post("/feedback", json=truths[:3])
        assert few.status_code == 202
        metrics = running.metrics()
    written = len(lines_of(log, "predictions"))
    assert 0 < written < 30 and len(lines_of(log, "feedback")) == 3
    assert metrics['mlops_log_dropped_total{reason="failed"}'] > 0


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("kept")
    with Running(write(people(), place / "bundle"), "--log", str(place / "log")) as found:
        yield found


def test_feedback_is_kept_before_it_is_answered(keeping: Running) -> None:
    log = keeping.bundle.parent / "log"
    one = keeping.client.post("/feedback", json={"id": "a", "truth": "yes"})
    assert (one.status_code, one.json()) == (202, {"kept": 1})
    many = [{"id": f"a:{number}", "truth": "no"} for number in range(3)]
    assert keeping.client.post("/feedback", json=many).json() == {"kept": 3}
    assert keeping.client.post("/feedback", json=[]).json() == {"kept": 0}
    lines = lines_of(log, "feedback")
    assert [(line["id"], line["truth"]) for line in lines] == [
        ("a", "yes"), ("a:0", "no"), ("a:1", "no"), ("a:2", "no"),
    ]  # fmt: skip
    assert [*lines[0]] == ["v", "id", "time", "truth"]
    assert keeping.metrics()["mlops_feedback_total"] == 4


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"id": "a", "truth": "maybe"}, "truth"),
        ({"id": "a", "truth": 1}, "truth"),
        ({"id": "a b", "truth": "yes"}, "id"),
        ({"id": "a\n", "truth": "yes"}, "id"),
        ({"truth": "yes"}, "id"),
        ({"id": "a"}, "truth"),
        ({"id": "a", "truth": "yes", "more": 1}, "more"),
        ([{"id": "a", "truth": "yes"}, {"id": "a", "truth": None}], "truth"),
    ],
)
def test_feedback_that_is_none_is_refused_whole(keeping: Running, sent: object, field: str) -> None:
    before = keeping.metrics()["mlops_feedback_total"]
    answer = keeping.client.post("/feedback", json=sent)
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field
    assert keeping.metrics()["mlops_feedback_total"] == before


def _others_address() -> str | None:
    """An address of this machine that is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"host": "service.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
)
def test_who_comes_by_a_proxy_or_a_page_is_not_this_machine(
    keeping: Running, headers: dict[str, str]
) -> None:
    for path in ("/feedback", "/admin/swap"):
        answer = keeping.client.post(path, json={"id": "a", "truth": "yes"}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, f"{KINDS}forbidden")
    assert keeping.client.post("/predict", json=EXAMPLE, headers=headers).status_code == 200


def test_without_a_token_only_this_machine_tells_the_truth(tmp_path: Path) -> None:
    address = _others_address()
    if address is None:
        pytest.skip("this machine has no address but its own")
    bundle = write(people(), tmp_path / "bundle")
    with Running(bundle, "--host", "0.0.0.0", "--log", str(tmp_path / "log")) as running:
        url = f"http://{address}:{running.port}"
        assert running.client.post(f"{url}/predict", json=EXAMPLE).status_code == 200
        for path in ("/feedback", "/admin/swap"):
            answer = running.client.post(f"{url}{path}", json={"id": "a", "truth": "yes"})
            assert answer.status_code == 403
        local = running.client.post("/feedback", json={"id": "a", "truth": "yes"})
        assert local.status_code == 202


def test_it_listens_on_the_loopback_alone(keeping: Running) -> None:
    address = _others_address()
    if address is None:
        pytest.skip("this machine has no address but its own")
    with pytest.raises(OSError), socket.create_connection((address, keeping.port), timeout=5):
        pass


def test_each_role_has_a_token_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of admin\n", "utf-8")
    tokens = {
        "MLOPS_TOKEN_PREDICT": "p" * 20,
        "MLOPS_TOKEN_FEEDBACK": "f" * 20,
        "MLOPS_TOKEN_ADMIN_FILE": str(tmp_path / "token"),
    }
    bundle = write(people(), tmp_path / "bundle")
    with Running(bundle, "--log", str(tmp_path / "log"), **tokens) as running:
        paths = {
            "/predict": ("p" * 20, EXAMPLE, 200),
            "/v2/models/people/infer": ("p" * 20, {"inputs": []}, 200),
            "/feedback": ("f" * 20, {"id": "a", "truth": "yes"}, 202),
            "/admin/swap": ("of admin", {"bundle": "x"}, 409),
        }
        for path, (own, body, status) in paths.items():
            for token in ("p" * 20, "f" * 20, "of admin", "p" * 19, "p" * 21):
                headers = {"authorization": f"Bearer {token}"}
                answer = running.client.post(path, json=body, headers=headers)
                assert answer.status_code == (status if token == own else 401), (path, token)
            for headers in ({}, {"authorization": own}, {"authorization": f"Basic {own}"}):
                answer = running.client.post(path, json=body, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
        for path in ("/health/live", "/metrics", "/model", "/"):
            assert running.client.get(path).status_code == 200


def test_no_secret_is_told(tmp_path: Path) -> None:
    bundle = write(people(), tmp_path / "bundle")
    with Running(bundle, MLOPS_TOKEN_PREDICT="topsecret") as running:
        answers = [running.client.get(path).text for path in ("/model", "/metrics", "/nothing")]
        answers.append(running.predict().text)
        assert not any("topsecret" in answer for answer in answers)
        command = Path(f"/proc/{running.process.pid}/cmdline")
        assert not command.exists() or b"topsecret" not in command.read_bytes()


def test_the_page_may_run_its_own_script_alone(keeping: Running) -> None:
    page = keeping.client.get("/")
    policy = page.headers["content-security-policy"]
    script = page.text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "://" not in page.text.replace("http://www.w3.org/2000/svg", "")
    assert json.loads(keeping.client.get("/model").text)["levels"] == {"job": ["cook", "smith"]}


def test_a_file_that_a_process_writes_is_never_removed(tmp_path: Path) -> None:
    """A quiet process keeps its lines, though a busy one fills more files than there may be."""
    code = (
        "import sys; from pathlib import Path; from lines import Lines\n"
        "own = Lines(Path(sys.argv[1]), 'predictions', 10, 2)\n"
        "for line in sys.stdin: own.append(line.encode()); print('kept', flush=True)"
    )
    words = [sys.executable, "-B", "-c", code, str(tmp_path / "log")]
    bundle = write(people(), tmp_path / "bundle")
    (tmp_path / "log").mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(words, cwd=bundle, **pipes) as quiet,
        subprocess.Popen(words, cwd=bundle, **pipes) as busy,
    ):
        for process, line in ((quiet, "quiet"), *((busy, f"busy {n:05d}") for n in range(9))):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "kept\n"
        kept = "".join(sorted(file.read_text() for file in (tmp_path / "log").iterdir()))
        assert "quiet\n" in kept and "busy 00008\n" in kept and "busy 00000\n" not in kept


def test_a_sensitive_target_is_left_out_or_hashed(tmp_path: Path) -> None:
    bundle, log = write(hiding(people(), "y"), tmp_path / "bundle"), tmp_path / "log"
    with Running(bundle, "--log", str(log)) as running:
        name = running.predict().json()["id"]
        refused = running.client.post("/feedback", json={"id": name, "truth": "yes"})
        assert (refused.status_code, refused.json()["type"]) == (409, f"{KINDS}not-kept")
    (line,) = lines_of(log, "predictions")
    assert line["answer"] == {} and line["record"]["job"] == "cook"
    spec = hiding(people(log={**LOG, "sensitive": "hash"}), "y")
    bundle, log = write(spec, tmp_path / "hashing"), tmp_path / "hashed"
    with Running(bundle, "--log", str(log), MLOPS_HASH_KEY="secret") as running:
        answer = running.predict().json()
        fed = {"id": answer["id"], "truth": answer["prediction"]}
        assert running.client.post("/feedback", json=fed).status_code == 202
    (line,), (truth,) = lines_of(log, "predictions"), lines_of(log, "feedback")
    assert line["answer"] == {"prediction": truth["truth"]}
    assert truth["truth"].startswith("hmac-sha256:")
