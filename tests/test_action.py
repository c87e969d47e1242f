"""The action that reviews pull requests: real git, the real command line, and a server that speaks
the few endpoints of GitHub that it asks. Nothing is sent anywhere else."""

from __future__ import annotations

import copy
import importlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.project import Answer, good
from tests.repository import called, commit, deploy, done, edit, git, repository, split

ACTION = Path(__file__).resolve().parent.parent / ".github" / "actions" / "review"
EVENT = json.loads((Path(__file__).parent / "events" / "pull_request.json").read_text("utf-8"))
pytestmark = pytest.mark.skipif(not ACTION.is_dir(), reason="away from the checkout there is none")
TOKEN = "a token"
COMMENTS = "/repos/octo-org/shop/issues/7/comments"


@dataclass
class Hub:
    """The comments of a pull request, and how a server answers."""

    bodies: list[str] = field(default_factory=list)
    others: set[int] = field(default_factory=set)  # comments that this token may not change
    page: int = 100
    refuse: int = 0
    elsewhere: str = ""
    asked: list[str] = field(default_factory=list)
    api: str = ""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def _answer(self, status: int, value: object, link: str = "") -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(data)

    def _body(self) -> str:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(value) == {"body"} and len(value["body"]) <= 65_536
        return str(value["body"])

    def _welcome(self) -> bool:
        """Whether the request is let in."""
        self.hub.asked.append(self.command)
        status = self.hub.refuse
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status = 401
        if status:
            self._answer(status, {"message": "no"})
        return not status

    def do_GET(self) -> None:
        if not self._welcome():
            return
        where = urlsplit(self.path)
        asked = parse_qs(where.query)
        number = int(asked.get("page", ["1"])[0])
        size = min(int(asked["per_page"][0]), self.hub.page)
        found = [{"id": n, "body": body} for n, body in enumerate(self.hub.bodies)]
        assert where.path == COMMENTS
        link = f'<{self.hub.api}{COMMENTS}?per_page={size}&page=1>; rel="first"'
        if len(found) > number * size:
            place = self.hub.elsewhere or self.hub.api
            next_page = f"{place}{COMMENTS}?per_page={size}&page={number + 1}"
            link = f'<{next_page}>; rel="next", {link}'
        self._answer(200, found[(number - 1) * size : number * size], link)

    def do_POST(self) -> None:
        if self._welcome():
            assert self.path == COMMENTS
            self.hub.bodies.append(self._body())
            self._answer(201, {"id": len(self.hub.bodies) - 1})

    def do_PATCH(self) -> None:
        if self._welcome():
            number = int(self.path.removeprefix("/repos/octo-org/shop/issues/comments/"))
            body = self._body()
            if number in self.hub.others:
                self._answer(403, {"message": "not yours"})
                return
            self.hub.bodies[number] = body
            self._answer(200, {"id": number})

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    handler = type("Own", (Handler,), {"hub": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.api = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "shop")


@dataclass(frozen=True)
class Reviewed:
    """How the action ended, and what it left."""

    answer: Answer
    summary: str
    outputs: Mapping[str, str]


def reviewed(
    project: Path,
    hub: Hub,
    change: Callable[[dict[str, Any]], object] = lambda event: None,
    **inputs: str,
) -> Reviewed:
    """The action on the event of a pull request onto `main`, with inputs beside the usual ones."""
    room = project.parent
    event = copy.deepcopy(EVENT)
    event["pull_request"]["base"]["sha"] = git(project, "rev-parse", "main").out.strip()
    change(event)
    files = {name: room / name.lower() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for file in files.values():
        file.write_text("", "utf-8")
    (room / "event.json").write_text(json.dumps(event), "utf-8")
    given = {"token": TOKEN, "command": f"'{sys.executable}' -P -m mlops_compile", **inputs}
    env = {
        **{name: str(file) for name, file in files.items()},
        **{f"REVIEW_{name.upper()}": value for name, value in given.items()},
        "GITHUB_EVENT_PATH": str(room / "event.json"),
        "GITHUB_API_URL": hub.api,
        "GITHUB_REPOSITORY": "octo-org/shop",
        "RUNNER_TEMP": str(room),
    }
    answer = called(project, sys.executable, str(ACTION / "review.py"), env=env)
    assert "Traceback" not in answer.err, answer.err
    lines = files["GITHUB_OUTPUT"].read_text("utf-8").splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    return Reviewed(answer, files["GITHUB_STEP_SUMMARY"].read_text("utf-8"), outputs)


def test_the_action_declares_what_its_script_reads() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text("utf-8"))
    assert set(action) == {"name", "description", "inputs", "outputs", "runs"}
    assert action["runs"]["using"] == "composite"
    (step,) = action["runs"]["steps"]
    assert step["shell"] == "bash" and "$GITHUB_ACTION_PATH/review.py" in step["run"]
    for given in action["inputs"].values():
        assert set(given) == {"description", "default"} and isinstance(given["default"], str)
    env = {f"REVIEW_{name.upper()}": f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    assert step["env"] == env  # never in the text of the script, where a title could be a command
    script = (ACTION / "review.py").read_text("utf-8")
    (fields,) = re.findall(r"class Asked:(.*?)@classmethod", script, re.S)
    assert set(re.findall(r"^    (\w+):", fields, re.M)) == set(action["inputs"])
    for name, output in action["outputs"].items():
        assert output["value"] == f"${{{{ steps.{step['id']}.outputs.{name} }}}}"


@pytest.mark.slow
def test_a_change_that_breaks_clients_is_told_in_one_comment_until_it_is_waived(
    project: Path, hub: Hub
) -> None:
    done(project, "checkout", "-q", "-b", "records")
    deploy(project)
    commit(project, "records")
    hub.bodies += ["Good morning", "Looks fine to me", "Hello"]
    hub.page = 2
    found = reviewed(project, hub)
    assert found.answer.code == 1
    assert "::error title=Plan review::the service would break its clients" in found.answer.out
    assert len(hub.bodies) == 4 and hub.asked == ["GET", "GET", "POST"]
    assert hub.bodies[3] in found.summary and "deploy.max_records" in hub.bodies[3]
    assert "- the service would break its clients" in hub.bodies[3]
    outputs = dict(found.outputs)
    document = json.loads(Path(outputs.pop("document")).read_text("utf-8"))
    assert document["api"]["compatible"] is False
    assert outputs == {"current": "true", "compatible": "false", "gates": "met", "waived": ""}

    old, new = (document[side]["plan"][:12] for side in ("old", "new"))
    stated = f'{{what: contract, old: "{old}", new: "{new}", reason: agreed}}'
    edit(project, "seed: 0\n", f"seed: 0\nreview: {{waivers: [{stated}]}}\n", "config.yaml")
    commit(project, "waived")
    found = reviewed(project, hub)
    assert found.answer.code == 0 and "::error" not in found.answer.out
    assert len(hub.bodies) == 4 and "agreed" in hub.bodies[3]
    assert "Not to be merged" not in hub.bodies[3] and found.outputs["waived"] == "contract"


def test_a_stale_lock_is_not_merged_and_what_the_change_does_is_told_all_the_same(
    project: Path, hub: Hub
) -> None:
    done(project, "checkout", "-q", "-b", "split")
    split(project)
    done(project, "commit", "-q", "-a", "-m", "without the lock")
    found = reviewed(project, hub)
    assert found.answer.code == 1 and found.outputs["current"] == "false"
    (body,) = hub.bodies
    assert "`plan.lock.json` is not what the config compiles to" in body
    assert "steps.split.params.data.split.test_size: 0.25 -> 0.3" in body
    assert "| `data.split.test_size` |" in body


@pytest.mark.slow
def test_a_pull_request_from_a_fork_gets_no_comment_and_the_rest(project: Path, hub: Hub) -> None:
    done(project, "checkout", "-q", "-b", "split")
    split(project)
    commit(project, "split")
    for repo in ({"full_name": "octocat/shop"}, None):
        found = reviewed(
            project, hub, lambda event, repo=repo: event["pull_request"]["head"].update(repo=repo)
        )
        assert found.answer.code == 0 and hub.asked == []
        assert "::notice title=Plan review::no comment: a pull request from a fork" in (
            found.answer.out
        )
        assert "data.split.test_size" in found.summary and "no comment" in found.summary


@pytest.fixture
def comments(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the comment."""
    monkeypatch.syspath_prepend(str(ACTION))
    monkeypatch.delitem(sys.modules, "comments", raising=False)
    yield importlib.import_module("comments")
    del sys.modules["comments"]


MARK = "<!-- mlops-compile review 1 -->"


def written(comments: Any, hub: Hub, body: str, token: str = TOKEN) -> None:
    github = comments.GitHub(api=hub.api, repository="octo-org/shop", token=token)
    comments.comment(github, 7, MARK, f"{MARK}\n{body}")


def test_one_comment_is_written_again_on_whatever_page_it_is(comments: Any, hub: Hub) -> None:
    hub.page = 2
    hub.bodies += [f"{n}, not {MARK}" for n in range(5)]
    written(comments, hub, "one")
    assert hub.bodies[5:] == [f"{MARK}\none"] and hub.asked == [*["GET"] * 3, "POST"]
    hub.bodies += ["a later one"] * 3
    written(comments, hub, "two")
    assert hub.bodies[5] == f"{MARK}\ntwo" and len(hub.bodies) == 9
    hub.others = {5}  # by somebody else, with the same first line
    written(comments, hub, "three")
    assert hub.bodies[5] == f"{MARK}\ntwo" and hub.bodies[9] == f"{MARK}\nthree"
    written(comments, hub, "four")
    assert hub.bodies[9] == f"{MARK}\nfour" and len(hub.bodies) == 10


def test_what_github_refuses_is_told(comments: Any, hub: Hub) -> None:
    with pytest.raises(comments.Refused, match="401"):
        written(comments, hub, "one", token="another")
    hub.refuse = 403
    with pytest.raises(comments.Refused, match="403"):
        written(comments, hub, "one")
    hub.refuse, hub.page, hub.elsewhere = 0, 1, "http://localhost:1"
    hub.bodies += ["one", "two"]
    with pytest.raises(comments.Refused, match="a page at another place"):
        written(comments, hub, "one")
    hub.api = "http://127.0.0.1:9"
    with pytest.raises(comments.Refused, match="refused"):
        written(comments, hub, "one")


@pytest.mark.slow
def test_a_token_that_may_not_comment_is_said_and_no_reason_to_fail(
    project: Path, hub: Hub
) -> None:
    hub.refuse = 403
    found = reviewed(project, hub)
    assert found.answer.code == 0 and "pull-requests: write" in found.answer.out
    asked = [*hub.asked]
    assert reviewed(project, hub, comment="false").answer.code == 0 and hub.asked == asked


@pytest.mark.slow
def test_without_a_pull_request_or_a_plan_before_nothing_is_compared(
    project: Path, hub: Hub
) -> None:
    found = reviewed(project, hub, lambda event: event.pop("pull_request"))
    assert found.answer.code == 0 and hub.asked == []
    assert found.outputs["compatible"] == "" and found.outputs["document"] == ""
    done(project, "checkout", "-q", "--orphan", "new")
    done(project, "commit", "-q", "-m", "new")
    done(project, "checkout", "-q", "--orphan", "empty")
    done(project, "rm", "-q", "-r", "--cached", ".")
    done(project, "commit", "-q", "--allow-empty", "-m", "empty")
    empty = done(project, "rev-parse", "HEAD").strip()
    done(project, "checkout", "-q", "-f", "main")
    found = reviewed(project, hub, base=empty)
    assert found.answer.code == 0 and "has no plan to compare with" in hub.bodies[0]
    found = reviewed(project, hub, base="0" * 40)
    assert found.answer.code == 1 and "fetch-depth: 0" in found.answer.err


@pytest.mark.slow
def test_the_base_is_where_the_branch_left_it(project: Path, hub: Hub) -> None:
    """What others changed on the base since is not told as the branch's change."""
    done(project, "checkout", "-q", "-b", "split")
    split(project)
    commit(project, "split")
    done(project, "checkout", "-q", "main")
    deploy(project)
    commit(project, "records")
    done(project, "checkout", "-q", "split")
    found = reviewed(project, hub)
    assert found.answer.code == 0 and "max_records" not in hub.bodies[0]


@pytest.mark.slow
def test_a_base_that_is_not_here_is_fetched(project: Path, hub: Hub, tmp_path: Path) -> None:
    done(project, "checkout", "-q", "-b", "records")
    deploy(project)
    commit(project, "records")
    origin = f"file://{project}"
    done(tmp_path, "clone", "-q", "--depth=1", "--branch", "records", origin, "shallow")
    base = done(project, "rev-parse", "main").strip()
    found = reviewed(tmp_path / "shallow", hub, base=base)
    assert found.answer.code == 1 and "deploy.max_records" in hub.bodies[0]


@pytest.mark.slow
def test_a_gate_that_is_not_met_is_not_merged_until_it_is_waived(project: Path, hub: Hub) -> None:
    done(project, "checkout", "-q", "-b", "gate")
    gate = 'seed: 0\nevaluate: {gates: {accuracy: ">= 0.9999"}}\n'
    edit(project, "seed: 0\n", gate, "config.yaml")
    commit(project, "gate")
    assert reviewed(project, hub).answer.code == 0  # it was not measured
    found = reviewed(project, hub, run="true")
    assert found.answer.code == 1 and found.outputs["gates"] == "unmet"
    assert "- a gate is not met" in hub.bodies[0] and "accuracy" in hub.bodies[0]
    document = json.loads(Path(found.outputs["document"]).read_text("utf-8"))
    old, new = document["old"]["plan"], document["new"]["plan"]
    stated = f'{{what: gates, old: "{old}", new: "{new}", reason: a first model}}'
    edit(project, "seed: 0\n", f"seed: 0\nreview: {{waivers: [{stated}]}}\n", "config.yaml")
    commit(project, "waived")
    found = reviewed(project, hub, run="true")
    assert found.answer.code == 0 and found.outputs["gates"] == "unmet"
    assert found.outputs["waived"] == "gates" and "a first model" in hub.bodies[0]


@pytest.mark.slow
def test_a_project_below_the_top_with_overrides(tmp_path: Path, hub: Hub) -> None:
    project = repository(tmp_path / "top", "ml/shop")
    words = ("-m", "seed=0,1")
    good(project, "compile", *words)
    done(project, "commit", "-q", "-a", "-m", "a sweep")
    done(project, "checkout", "-q", "-b", "split")
    split(project)
    good(project, "compile", *words)
    done(project, "commit", "-q", "-a", "-m", "split")
    found = reviewed(tmp_path / "top", hub, directory="ml/shop", overrides="-m seed=0,1")
    assert found.answer.code == 0, found.answer.out
    assert "Project `ml/shop`" in hub.bodies[0] and "data.split.test_size" in hub.bodies[0]
