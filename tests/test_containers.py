"""Images and manifests: valid by the published schemas, of one mind, and what they run works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from mlops_compile.emit.dns import dns_name
from mlops_compile.emit.render import render, yaml_text
from mlops_compile.emit.targets.kubernetes import MONITOR, RESOURCES
from mlops_compile.ir.value import Map
from tests.bundles import CLASSES, LEVELS, NAME, Made, make
from tests.dockerfiles import Image, build
from tests.running import Running
from tests.specs import spec_of

NAMES = [
    NAME,
    *LEVELS,
    *CLASSES,
    "",
    "a" * 200,
    "1st",
    "no",
    "null",
    "- x",
    "model",
    "A_b",
    "\x00\x85",
]


LOGGED = {"log_claim": "the.logs", "project_claim": "no"}
# Those of them that are of Kubernetes itself.
OWN = ("NetworkPolicy",)


def _manifests(**container: Any) -> dict[str, Any]:
    spec = spec_of("kubernetes")
    files = render(replace(spec, container=Map({**spec.container, **container})))
    return {
        name.removeprefix("kubernetes/"): yaml.safe_load(text)
        for name, text in files.items()
        if name.startswith("kubernetes/")
    }


@pytest.mark.parametrize("container", [{}, LOGGED], ids=["plain", "logged"])
def test_manifests_are_valid_by_the_published_schemas(container: dict[str, Any]) -> None:
    found = _manifests(**container)
    for name in found["kustomization.yaml"]["resources"]:
        kubernetes_validate.validate(found[name], "1.37", strict=True)
    for item in found["prometheus.yaml"]["items"]:
        if item["kind"] in OWN:
            kubernetes_validate.validate(item, "1.37", strict=True)


@pytest.mark.parametrize("container", [{}, LOGGED], ids=["plain", "logged"])
def test_what_kserve_takes_is_a_pod(container: dict[str, Any]) -> None:
    """A predictor is the spec of a pod, with two keys of KServe's own."""
    service = _manifests(**container)["inferenceservice.yaml"]
    predictor = dict(service["spec"]["predictor"])
    assert [predictor.pop(key) for key in ("minReplicas", "maxReplicas")] == [2, 10]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": predictor}
    kubernetes_validate.validate(pod, "1.37", strict=True)
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_manifests_are_of_one_mind() -> None:
    found = _manifests(**LOGGED)
    assert found["kustomization.yaml"]["resources"] == [*RESOURCES, MONITOR]
    deployment = found["deployment.yaml"]
    pod = deployment["spec"]["template"]
    labels, name = pod["metadata"]["labels"], deployment["metadata"]["name"]
    selectors = (
        deployment["spec"]["selector"]["matchLabels"],
        found["service.yaml"]["spec"]["selector"],
        found["disruption.yaml"]["spec"]["selector"]["matchLabels"],
        found["network.yaml"]["spec"]["podSelector"]["matchLabels"],
    )
    assert all(selector == labels for selector in selectors)
    assert found["autoscaler.yaml"]["spec"]["scaleTargetRef"]["name"] == name
    (container,) = pod["spec"]["containers"]
    (port,) = container["ports"]
    assert found["service.yaml"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    monitor = found["monitor.yaml"]["spec"]["jobTemplate"]["spec"]["template"]
    assert monitor["metadata"]["labels"] != labels  # the service sends nothing to it
    watching, network, rules = found["prometheus.yaml"]["items"]
    address = found["service.yaml"]
    assert (
        watching["spec"]["selector"]["matchLabels"].items() <= address["metadata"]["labels"].items()
    )
    assert watching["spec"]["endpoints"][0]["port"] == address["spec"]["ports"][0]["name"]
    assert network["spec"]["podSelector"]["matchLabels"] == labels
    alerts = yaml.safe_load(render(spec_of("kubernetes"))["monitoring/alerts.yaml"])
    assert rules["spec"] == alerts
    # By the job's name, which the operator takes from that of the service.
    assert f'job="{address["metadata"]["name"]}"' in alerts["groups"][0]["rules"][0]["expr"]


def test_what_is_logged_is_looked_at() -> None:
    """The copies write into the claim that the CronJob reads; without one nothing is asked for."""
    found = _manifests(**LOGGED)
    pods = {
        "deployment.yaml": found["deployment.yaml"]["spec"]["template"]["spec"],
        "monitor.yaml": found[MONITOR]["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    }
    for name, pod in pods.items():
        (container,) = pod["containers"]
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
            if "persistentVolumeClaim" in volume
        }
        places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        read_only = {mount["name"] for mount in container["volumeMounts"] if "readOnly" in mount}
        assert claims["log"] == "the.logs" and claims.get("project", "no") == "no"
        if name == "monitor.yaml":
            assert container["command"][-2:] == ["--log", places["log"]]
            assert read_only == {"log"} and container["workingDir"] == places["project"]
        else:
            assert container["env"] == [{"name": "MLOPS_LOG", "value": places["log"]}]
            assert not read_only
    plain = _manifests()
    assert MONITOR not in plain
    (container,) = plain["deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    assert "env" not in container and {*container["envFrom"][0]["secretRef"]} == {
        "name",
        "optional",
    }
    logged = _manifests(log_claim="the.logs")
    assert MONITOR not in logged and "the.logs" in str(logged["deployment.yaml"])


@pytest.mark.parametrize("name", ["deployment.yaml", "monitor.yaml", "inferenceservice.yaml"])
def test_no_container_has_a_right_that_it_does_not_need(name: str) -> None:
    found = _manifests(**LOGGED)[name]["spec"]
    for key in ("jobTemplate", "spec", "template", "spec", "predictor"):
        found = found.get(key, found)
    assert found["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True
    for container in found["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {*container["resources"]["limits"]} == {"cpu", "memory"}


def test_the_compose_file_is_valid_and_gives_no_right() -> None:
    text = render(spec_of("docker"))["compose.yaml"]
    compose_spec.PyCompose.from_yaml(text).validate()
    service = yaml.safe_load(text)["services"]["service"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"] and service["tmpfs"] == ["/tmp"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert {"cpus", "memory"} <= {*service["deploy"]["resources"]["limits"]}
    assert "MLOPS_LOG=/log" in service["environment"] and service["volumes"] == ["log:/log"]
    assert yaml.safe_load(text)["volumes"] == {"log": None}  # one that Docker makes


def test_a_container_that_hashes_columns_is_not_started_without_their_key() -> None:
    spec = spec_of("docker")
    name = spec.columns[0].name
    for sensitive in ("hash", "omit"):
        log = Map({**spec.served.service["log"], "sensitive": sensitive})
        service = Map({**spec.served.service, "log": log})
        served = replace(spec.served, sensitive=(name,), service=service)
        text = render(replace(spec, served=served))["compose.yaml"]
        compose_spec.PyCompose.from_yaml(text).validate()
        given = yaml.safe_load(text)["services"]["service"]["environment"]
        assert any("MLOPS_HASH_KEY=${MLOPS_HASH_KEY:?" in one for one in given) == (
            sensitive == "hash"
        )


@pytest.mark.parametrize("family", ["lightgbm", "ridge"])
@pytest.mark.parametrize("target", ["docker", "kubernetes"])
def test_the_dockerfile_is_as_hadolint_wants_it(tmp_path: Path, target: str, family: str) -> None:
    (tmp_path / "Dockerfile").write_text(render(spec_of(target, family))["Dockerfile"])
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "Dockerfile"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_data_in_every_file(text: str) -> None:
    """Manifests hold the name as text; where names of DNS are asked for, one that is."""
    assert yaml.safe_load(f"a: {yaml_text(text)}") == {"a": text}
    name = dns_name(text)
    assert name.isascii() and 0 < len(name) <= 50 and name[0].isalpha() and name[-1].isalnum()
    assert name.replace("-", "a").isalnum() and name == name.lower()


def test_names_that_differ_stay_apart() -> None:
    assert len({*map(dns_name, NAMES)}) == len(NAMES)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("family", ["lightgbm", "ridge"])
def test_what_a_dockerfile_says_can_be_done(tmp_path: Path, family: str) -> None:
    """Each instruction is carried out in directories that stand for the stages' file systems; then
    what is run answers, and is found healthy."""
    task = "binary" if family == "lightgbm" else "regression"
    made: Made = make(tmp_path / "project", family=family, task=task, target="docker")
    image: Image = build(made.bundle, tmp_path / "stages")
    assert {*os.listdir(image.place("/bundle"))} == {*os.listdir(made.bundle)}
    assert image.user == "10001:10001"
    before = sorted(image.root.rglob("*"))
    rows, predictions = made.held_out()
    log = image.words("/log")
    with Running(
        image.command, image.place("/bundle"), {**image.environment, "MLOPS_LOG": log}, port=8000
    ) as service:
        assert image.is_healthy()
        answers = [service.predict(row) for row in rows[:20]]
    assert not image.is_healthy()
    key = "probability" if task == "binary" else "prediction"
    name = next(n for n in reversed(predictions) if n not in ("row", "truth", "decision"))
    assert [answer[key] for answer in answers] == predictions[name][:20]
    kept = [*Path(log).iterdir()]
    assert sum(len(file.read_bytes().splitlines()) for file in kept) == len(rows[:20])
    assert sorted({*image.root.rglob("*")} - {*kept}) == before  # a root that is read-only does
