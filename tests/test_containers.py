"""Images and manifests: valid by the published schemas, of one mind, and what they run works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from mlops_compile.emit.dns import dns_name
from mlops_compile.emit.render import render, yaml_text
from mlops_compile.emit.targets.kubernetes import RESOURCES
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


def _manifests() -> dict[str, Any]:
    files = render(spec_of("kubernetes"))
    return {
        name.removeprefix("kubernetes/"): yaml.safe_load(text)
        for name, text in files.items()
        if name.startswith("kubernetes/")
    }


@pytest.mark.parametrize("name", RESOURCES)
def test_manifests_are_valid_by_the_published_schemas(name: str) -> None:
    kubernetes_validate.validate(_manifests()[name], "1.37", strict=True)


def test_what_kserve_takes_is_a_pod(tmp_path: Path) -> None:
    """A predictor is the spec of a pod, with two keys of KServe's own."""
    service = _manifests()["inferenceservice.yaml"]
    predictor = dict(service["spec"]["predictor"])
    assert [predictor.pop(key) for key in ("minReplicas", "maxReplicas")] == [2, 10]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": predictor}
    kubernetes_validate.validate(pod, "1.37", strict=True)
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_manifests_are_of_one_mind() -> None:
    found = _manifests()
    assert found["kustomization.yaml"]["resources"] == [*RESOURCES]
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


@pytest.mark.parametrize("name", ["deployment.yaml", "monitor.yaml", "inferenceservice.yaml"])
def test_no_container_has_a_right_that_it_does_not_need(name: str) -> None:
    found = _manifests()[name]["spec"]
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
    with Running(image.command, image.place("/bundle"), image.environment, port=8000) as service:
        assert image.is_healthy()
        answers = [service.predict(row) for row in rows[:20]]
    assert not image.is_healthy()
    key = "probability" if task == "binary" else "prediction"
    name = next(n for n in reversed(predictions) if n not in ("row", "truth", "decision"))
    assert [answer[key] for answer in answers] == predictions[name][:20]
    assert sorted(image.root.rglob("*")) == before  # a root that is read-only does
