"""A service of adult under `wrk` (Debian's package of that name): bundles are swapped, and every
request is answered."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.adults import adult_bundle
from tests.serving import Running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not here: apt-get install wrk"),
]
SWAPS, LONGEST = 4, 600  # swaps; seconds after which nobody waits
# Asks without a pause, and counts what is no answer; an answer names its model.
SCRIPT = """
local file = io.open("{body}", "r")
wrk.method, wrk.headers["Content-Type"], wrk.body = "POST", "application/json", file:read("*all")
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) bad, models = 0, {{}} end
function response(status, headers, body)
  if status ~= 200 then bad = bad + 1 end
  local model = string.match(body, '"model":"(%x+)"') or "none"
  models[model] = (models[model] or 0) + 1
  told = ""
  for name, count in pairs(models) do told = told .. " " .. name .. "=" .. count end
end
function done(summary, latency, requests)
  local e = summary.errors
  for _, thread in ipairs(threads) do io.write("MODELS" .. thread:get("told") .. "\\n") end
  for _, thread in ipairs(threads) do io.write("BAD " .. thread:get("bad") .. "\\n") end
  io.write(string.format("ERRORS %d %d %d %d %d\\n",
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles of adult, of other models."""
    place = tmp_path_factory.mktemp("swaps")
    for name, trees in (("first", 20), ("second", 30)):
        words = (f"model.params.num_iterations={trees}",)
        adult_bundle(place / "project", place / "bundles" / name, *words)
    return place / "bundles"


@pytest.mark.parametrize("connections", [1, 64])
def test_swaps_under_wrk_leave_no_request_unanswered(
    bundles: Path, tmp_path: Path, connections: int
) -> None:
    digests = {
        name: json.loads((bundles / name / "bundle.json").read_text("utf-8"))["model"]
        for name in ("first", "second")
    }
    assert len({*digests.values()}) == 2
    script = tmp_path / "ask.lua"
    script.write_text(SCRIPT.format(body=bundles / "first" / "example.json"), "utf-8")
    with Running(bundles / "first", "--workers", "2", "--bundles", str(bundles)) as running:
        words = ["wrk", "-t1", f"-c{connections}", f"-d{LONGEST}s", "--timeout", "30s"]
        with subprocess.Popen(
            [*words, "-s", str(script), f"{running.url}/predict"], stdout=subprocess.PIPE, text=True
        ) as asking:
            for number in range(SWAPS):
                time.sleep(1)
                name = ("second", "first")[number % 2]
                answer = running.client.post("/admin/swap", json={"bundle": name})
                assert answer.status_code == 200, answer.text
                assert answer.json()["bundle"]["model"] == digests[name]
            time.sleep(1)
            assert asking.poll() is None  # it asks still: every swap was under it
            asking.send_signal(signal.SIGINT)
            told, _ = asking.communicate(timeout=120)
    assert re.findall(r"^BAD (\d+)$", told, re.M) == ["0"], told
    assert re.findall(r"^ERRORS (.*)$", told, re.M) == ["0 0 0 0 0"], told
    (models,) = re.findall(r"^MODELS (.*)$", told, re.M)
    counts = dict(pair.split("=") for pair in models.split())
    assert {*counts} == {*digests.values()}, told
    assert sum(map(int, counts.values())) > SWAPS * connections
