"""Rules and dashboard of a service: promtool finds them valid, they tell what has drifted and
nothing else, and all that they ask for is what a running service tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mlops_compile.emit.alerts import Rule, data_alerts, job_of, records, service_alerts
from mlops_compile.emit.bins import MISSING
from mlops_compile.emit.render import render
from mlops_compile.ir.reference import SCORE
from mlops_compile.ir.schema import to_value
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map
from mlops_compile.monitor.distances import psi
from mlops_compile.steps.monitoring import Breaks, Drift, Monitor
from mlops_compile.steps.targets import TARGETS
from tests.bundles import LEVEL
from tests.serving import REFERENCE, Running, people, write
from tests.specs import spec_of

RULES, DASHBOARD = "monitoring/alerts.yaml", "monitoring/dashboard.json"
SERVING = [name for name, target in TARGETS.items() if target.serves]
# There is a sample every four hours; what is judged is a moment after more than a week.
STEP, HOURS = 4, 196
promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: apt-get install prometheus"
)


def watched(spec: ServingSpec, **monitor: Any) -> ServingSpec:
    """The same service, monitored by other thresholds."""
    stated = to_value(Monitor(**monitor))
    assert isinstance(stated, Map)
    return replace(spec, served=replace(spec.served, monitor=stated))


EACH = {
    "names": spec_of("http"),
    "defaults": people(),
    "all": watched(people(), window="8h", least_volume=1.5, most_volume=9e4, most_seconds=0.25),
    "none": watched(people(), alerts=("truth",), most_errors=1.0),
    "zero": watched(people(), drift=Drift(psi=0.01), breaks=Breaks(missing=0.0, unseen=0.0)),
}


def run(place: Path, *words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts(spec: ServingSpec) -> tuple[Rule, ...]:
    return (*service_alerts(spec), *data_alerts(spec))


class Given:
    """The series that Prometheus has of a service that is asked `hourly` records an hour, which are
    as the reference until they are changed."""

    def __init__(self, spec: ServingSpec, hourly: float = 1000.0) -> None:
        self.spec, self.hourly = spec, hourly
        self.shares = {bins.name: [*bins.shares] for bins in spec.served.bins}
        self.steady: dict[str, float] = {}
        self.rising: dict[str, float] = {}
        self.keep("up", 1.0)
        self.count("mlops_predictions_total", hourly, **{"class": "yes"})
        for why in ("full", "failed"):
            self.count("mlops_log_dropped_total", 0.0, reason=why)
        for column in spec.columns:
            for what in ("unseen", "out_of_range"):
                self.count(f"mlops_values_{what}_total", 0.0, column=column.name)

    def count(self, name: str, hourly: float, **labels: str) -> None:
        """A counter that rises by so much an hour."""
        self.rising[self.named(name, labels)] = hourly

    def keep(self, name: str, value: float, **labels: str) -> None:
        self.steady[self.named(name, labels)] = value

    def named(self, name: str, labels: dict[str, str]) -> str:
        return sample(name, {"job": job_of(self.spec), "instance": "a", **labels})

    def series(self) -> list[dict[str, str]]:
        for bins in self.spec.served.bins:
            own = self.shares[bins.name]
            if bins.name != SCORE:
                rows = self.hourly * own[-1]
                self.count("mlops_values_missing_total", rows, column=bins.name)
            for name, share, now in zip(bins.names, bins.shares, own, strict=True):
                rows = self.hourly * (own[-1] if name == MISSING else now * (1 - own[-1]))
                self.count("mlops_values_total", rows, column=bins.name, bin=name)
                self.keep("mlops_reference_share", share, column=bins.name, bin=name)
        rising = [
            {"series": name, "values": f"0+{STEP * more!r}x{HOURS // STEP}"}
            for name, more in self.rising.items()
        ]
        steady = [
            {"series": name, "values": f"{at!r}x{HOURS // STEP}"}
            for name, at in self.steady.items()
        ]
        return rising + steady

    def drift(self, column: str) -> None:
        """All values of a column are in its first bin."""
        self.shares[column][:-1] = [1.0, *(0.0 for _ in self.shares[column][2:])]


def sample(name: str, labels: dict[str, str]) -> str:
    """A sample as PromQL has it."""
    pairs = ", ".join(
        f"{label}={json.dumps(text, ensure_ascii=False)}" for label, text in labels.items()
    )
    return f"{name}{{{pairs}}}"


def judge(place: Path, given: Given, *tests: dict[str, Any]) -> None:
    """promtool finds what these tests expect."""
    (place / "alerts.yaml").write_text(render(given.spec)[RULES], "utf-8")
    kinds: dict[str, list[Any]] = {"alert_rule_test": [], "promql_expr_test": []}
    for test in tests:
        kind = "alert_rule_test" if "alertname" in test else "promql_expr_test"
        kinds[kind].append({"eval_time": f"{HOURS}h", **test})
    case = {"interval": f"{STEP}h", "input_series": given.series(), **kinds}
    document = {"rule_files": ["alerts.yaml"], "evaluation_interval": f"{STEP}h", "tests": [case]}
    (place / "tests.yaml").write_text(yaml.safe_dump(document), "utf-8")
    run(place, "test", "rules", "tests.yaml")


def firing(spec: ServingSpec, *names: str, **labels: str) -> dict[str, Any]:
    """That these alerts fire, with these labels, and no other does."""
    severities = {rule.name: rule.severity for rule in alerts(spec)}
    found = []
    for name in names:
        own = {"alertname": name, "alertstate": "firing", "severity": severities[name]}
        found.append({"labels": sample("ALERTS", {**own, **labels}), "value": 1})
    return {"expr": 'ALERTS{alertstate="firing"}', "exp_samples": found}


@promtool
@pytest.mark.parametrize("name", EACH)
def test_rules_are_valid(tmp_path: Path, name: str) -> None:
    (tmp_path / "alerts.yaml").write_text(render(EACH[name])[RULES], "utf-8")
    assert "SUCCESS" in run(tmp_path, "check", "rules", "alerts.yaml")


@promtool
@pytest.mark.parametrize("name", EACH)
def test_nothing_fires_where_all_is_as_it_was(tmp_path: Path, name: str) -> None:
    judge(tmp_path, Given(EACH[name]), firing(EACH[name]))


@promtool
@pytest.mark.parametrize("before", REFERENCE, ids=lambda column: column.name)
def test_drift_is_told_of_the_column_that_drifted(tmp_path: Path, before: Any) -> None:
    """It has the index that `monitor` computes."""
    spec, given = people(), Given(people())
    given.drift(before.name)
    counts = [*before.counts, *(rows for _, rows in before.levels), *([0] if before.levels else [])]
    now = np.zeros(len(counts))
    now[0] = 168_000 * (1 - before.missing / before.rows)
    index, of = psi(np.array(counts), now), {"column": before.name}
    name = "MlopsScoreDrift" if before.name == SCORE else "MlopsDrift"
    told = sample("job_column:mlops_drift_psi:window", of)
    same = {
        "expr": f"abs({told} / {index!r} - 1) < bool 1e-6",
        "exp_samples": [{"labels": sample("", {"job": "people", **of}), "value": 1}],
    }
    judge(tmp_path, given, same, firing(spec, name, job="people", **of))


@promtool
def test_a_drift_is_a_sentence_whatever_names_are(tmp_path: Path) -> None:
    given = Given(spec_of("http"))
    given.drift(LEVEL)
    said = {
        "summary": f'{LEVEL} of {{{{ 6*7 }}}}: "x" */ # $(y) é drifted.',
        "description": f"The population stability index of {LEVEL} against the data that the model"
        " learned from is 11.6 over the last 7d; 0.2 is allowed.",
    }
    labels = {"severity": "warning", "job": job_of(given.spec), "column": LEVEL}
    expected = [{"exp_labels": labels, "exp_annotations": said}]
    judge(tmp_path, given, {"alertname": "MlopsDrift", "exp_alerts": expected})


@promtool
def test_few_values_are_no_drift(tmp_path: Path) -> None:
    given = Given(people(), hourly=1.0)  # 168 in a week
    given.drift("age")
    judge(tmp_path, given, firing(given.spec))


@promtool
def test_a_data_set_drifts_with_half_of_its_columns(tmp_path: Path) -> None:
    spec = watched(people(), alerts=("dataset",))
    for names, expected in ((("age",), ()), (("age", "paid"), ("MlopsDataDrift",))):
        given = Given(spec)
        for name in names:
            given.drift(name)
        judge(tmp_path, given, firing(spec, *expected, job="people"))


@promtool
def test_what_breaks_is_told(tmp_path: Path) -> None:
    spec, given = people(), Given(people())
    given.shares["job"][-1] = 0.31  # a quarter of the reference's
    judge(tmp_path, given, firing(spec, "MlopsMissing", job="people", column="job"))
    given = Given(spec)
    given.count("mlops_values_unseen_total", 16.0, column="job")  # of 750 values
    judge(tmp_path, given, firing(spec, "MlopsUnseen", job="people", column="job"))
    given = Given(spec)
    given.count("mlops_values_out_of_range_total", 21.0, column="age")
    judge(tmp_path, given, firing(spec, "MlopsOutOfRange", job="people", column="age"))


@promtool
@pytest.mark.parametrize(
    ("up", "slow", "failed", "lost", "names"),
    [
        (1, 0.0, 0.0, 0.0, []),
        (0, 0.0, 0.0, 0.0, ["MlopsServiceDown"]),
        (1, 0.03, 0.0, 0.0, ["MlopsLatency"]),
        (1, 0.0, 0.03, 0.0, ["MlopsErrors"]),
        (1, 0.0, 0.0, 0.03, ["MlopsLogDropped"]),
    ],
)
def test_how_a_service_does(
    tmp_path: Path, up: int, slow: float, failed: float, lost: float, names: list[str]
) -> None:
    """Of a hundred requests a minute these shares take 0.5 s, fail, or are not logged."""
    spec = watched(people(), alerts=("latency",), most_seconds=0.25)
    job = {"job": "people"}
    path = {**job, "path": "/predict"}
    found = {sample("up", job): f"{up}x60"}
    found[sample("mlops_log_dropped_total", {**job, "reason": "full"})] = f"0+{100 * lost}x60"
    for status, share in (("200", 1 - failed), ("503", failed)):
        name = sample("mlops_http_requests_total", {**path, "status": status})
        found[name] = f"0+{100 * share}x60"
    for edge, share in (("0.1", 1 - slow), ("0.5", 1.0), ("+Inf", 1.0)):
        name = sample("mlops_http_request_duration_seconds_bucket", {**path, "le": edge})
        found[name] = f"0+{100 * share}x60"
    (tmp_path / "alerts.yaml").write_text(render(spec)[RULES], "utf-8")
    expected = firing(spec, *names, **({"reason": "full"} if lost else {}))
    series = [{"series": name, "values": values} for name, values in found.items()]
    case = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"eval_time": "1h", **expected}],
    }
    document = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document), "utf-8")
    run(tmp_path, "test", "rules", "tests.yaml")


@promtool
@pytest.mark.parametrize(("hourly", "name"), [(0.05, "MlopsVolumeLow"), (4e3, "MlopsVolumeHigh")])
def test_volume(tmp_path: Path, hourly: float, name: str) -> None:
    spec = EACH["all"]
    judge(tmp_path, Given(spec, hourly=hourly), firing(spec, name, job="people"))


@pytest.mark.parametrize("target", SERVING)
def test_every_service_has_rules_and_a_dashboard(target: str) -> None:
    assert {RULES, DASHBOARD} <= {*render(spec_of(target))}


def test_what_is_told_only_is_no_alert() -> None:
    names = [rule.name for rule in alerts(EACH["none"])]
    assert names == ["MlopsServiceDown", "MlopsErrors", "MlopsLogDropped"]
    more = {rule.name for rule in alerts(EACH["all"])} - {r.name for r in alerts(EACH["defaults"])}
    assert more == {"MlopsLatency", "MlopsVolumeLow", "MlopsVolumeHigh"}


@promtool
@pytest.mark.parametrize("name", EACH)
def test_what_a_dashboard_asks_is_valid(tmp_path: Path, name: str) -> None:
    panels = json.loads(render(EACH[name])[DASHBOARD])["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    given = (("$__rate_interval", "5m"), ("$__range", "1d"), ("$job", "people"))
    for variable, value in given:
        queries = [query.replace(variable, value) for query in queries]
    assert "$" not in "".join(queries)
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    text = yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]})
    (tmp_path / "rules.yaml").write_text(text, "utf-8")
    run(tmp_path, "check", "rules", "rules.yaml")


def test_a_dashboard_has_its_panels_side_by_side() -> None:
    found = json.loads(render(spec_of("http"))[DASHBOARD])
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    held: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        at = panel["gridPos"]
        own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not held & own and at["x"] + at["w"] <= 24
        held |= own
        assert all(target["expr"] and target["datasource"] for target in panel["targets"])


def test_all_that_is_asked_for_is_told_by_a_service(tmp_path: Path) -> None:
    """Each metric of rules and dashboard is one that a running service has, or a rule makes."""
    spec = EACH["all"]
    files = render(spec)
    panels = json.loads(files[DASHBOARD])["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queries += [rule.query for rule in (*records(spec), *alerts(spec))]
    asked = {name for query in queries for name in re.findall(r"\b(?:\w+:)?mlops_[\w:]+", query)}
    made = {rule.name for rule in records(spec)}
    with Running(write(spec, tmp_path / "bundle")) as running:
        assert running.predict().status_code == 200
        told = {sample.partition("{")[0] for sample in running.metrics()}
    assert asked - made <= told and len(asked - made) > 10
