"""`kubernetes`: the image of `docker` with manifests that run, scale, guard and monitor it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.emit.targets import docker, http
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.targets import Target

if TYPE_CHECKING:
    import jinja2

# What `kubectl apply -k` takes; the rest is there for who wants it instead, or has Prometheus.
RESOURCES = (
    "deployment.yaml",
    "service.yaml",
    "autoscaler.yaml",
    "disruption.yaml",
    "network.yaml",
)
# Where there is a log to look at, and a project to do it in.
MONITOR = "monitor.yaml"
_OTHERS = ("kustomization.yaml", "inferenceservice.yaml", "prometheus.yaml")


def files(spec: ServingSpec, templates: jinja2.Environment) -> Mapping[str, str]:
    """What `docker` has, and the manifests."""
    resources = (*RESOURCES, *([MONITOR] if spec.container["project_claim"] else []))
    own = {"spec": spec, "own": docker.names_of(spec), "resources": resources}
    own |= http.rules_of(spec)
    found = {
        f"kubernetes/{name}": templates.get_template(f"kubernetes/{name}.jinja").render(own)
        for name in (*resources, *_OTHERS)
    }
    return {**docker.files(spec, templates), **found}


TARGET = Target(
    name="kubernetes",
    files=files,
    distributions=docker.TARGET.distributions,
    unused=docker.TARGET.unused,
    start="kubernetes/start.md.jinja",
    own=docker.names_of,
)
