"""A dashboard over a Prometheus that asks a running service: each query of a panel finds data."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mlops_compile.emit.alerts import job_of
from tests.serving import EXAMPLE, Running, free_port, people, write

RULES, DASHBOARD = "monitoring/alerts.yaml", "monitoring/dashboard.json"
# What Grafana fills in, of a Prometheus that asks every second.
FILLED = {"$__rate_interval": "15s", "$__range": "1h", "$job": job_of(people())}


@contextmanager
def prometheus(service: Running, place: Path) -> Iterator[httpx.Client]:
    """A Prometheus that asks a service, and the rules of its bundle, every second."""
    rules = yaml.safe_load((service.bundle / RULES).read_text("utf-8"))
    groups = [{**group, "interval": "1s"} for group in rules["groups"]]
    (place / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), "utf-8")
    found: dict[str, Any] = {
        "global": {"scrape_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": FILLED["$job"],
                "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}],
            }
        ],
    }
    (place / "prometheus.yaml").write_text(yaml.safe_dump(found), "utf-8")
    address = f"127.0.0.1:{free_port()}"
    words = ["prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=tsdb"]
    with (place / "prometheus.log").open("wb") as said:
        process = subprocess.Popen(
            [*words, f"--web.listen-address={address}"], cwd=place, stdout=said, stderr=said
        )
    try:
        with httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(60)


def finds(client: httpx.Client, target: dict[str, Any]) -> bool:
    """Whether a query of a panel finds data, over time or now."""
    query = target["expr"]
    for variable, value in FILLED.items():
        query = query.replace(variable, value)
    now = time.time()
    path, given = "/api/v1/query", {"query": query}
    if not target.get("instant"):
        path, given = f"{path}_range", {**given, "start": now - 30, "end": now, "step": 1}
    try:
        answer = client.post(path, data=given)
    except httpx.ConnectError:  # it starts
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: apt-get install prometheus"
)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_panel_shows_what_a_service_does(tmp_path: Path, workers: str) -> None:
    bundle = write(people(), tmp_path / "bundle")
    panels = json.loads((bundle / DASHBOARD).read_text("utf-8"))["panels"]
    empty = {
        (panel["title"], target["expr"]): target for panel in panels for target in panel["targets"]
    }
    flags = ("--workers", workers, "--log", str(tmp_path / "log"))
    odd = [{**EXAMPLE, "age": 400.0}, {**EXAMPLE, "job": "nobody"}, {**EXAMPLE, "job": None}]
    with Running(bundle, *flags) as service, prometheus(service, tmp_path) as client:
        for _ in range(240):
            answer = service.predict([EXAMPLE, *odd])
            service.predict({"age": "old"})
            given = {"id": answer.json()["predictions"][0]["id"], "truth": "yes"}
            assert service.client.post("/feedback", json=given).status_code == 202
            empty = {place: target for place, target in empty.items() if not finds(client, target)}
            if all('"5..' in query for _, query in empty):
                break
            time.sleep(0.5)
        rules = client.get("/api/v1/rules").json()["data"]["groups"]
    # No request has failed: there is no line for that.
    assert [title for title, _ in empty] == ["Errors"]
    unwell = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
    assert rules and not unwell
