"""`kubernetes`: the image of `docker` with manifests that run, scale, guard and monitor it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.emit.targets import docker
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.targets import Target

if TYPE_CHECKING:
    import jinja2

# What `kubectl apply -k` takes; the rest is there for who wants it instead.
RESOURCES = (
    "deployment.yaml",
    "service.yaml",
    "autoscaler.yaml",
    "disruption.yaml",
    "network.yaml",
)
_FILES = (*RESOURCES, "kustomization.yaml", "inferenceservice.yaml", "monitor.yaml")


def files(spec: ServingSpec, templates: jinja2.Environment) -> Mapping[str, str]:
    """What `docker` has, and the manifests."""
    own = {"spec": spec, "own": docker.names_of(spec), "resources": RESOURCES}
    found = {
        f"kubernetes/{name}": templates.get_template(f"kubernetes/{name}.jinja").render(own)
        for name in _FILES
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
