"""`docker`: the service of `http` with what makes an image of it, and a compose file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.emit.dns import dns_name
from mlops_compile.emit.targets import http
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.steps.targets import Target

if TYPE_CHECKING:
    import jinja2

# What people may leave beside a bundle's files; all of these go into the image, because a service
# sees at its start that its bundle is whole. `.env` holds secrets.
_NOT_OURS = (".env", ".git", ".venv", "**/__pycache__", "*.proof.json")


def files(spec: ServingSpec, templates: jinja2.Environment) -> Mapping[str, str]:
    """The service, its Dockerfile and its compose file."""
    own = names_of(spec)
    found = {
        name: templates.get_template(f"docker/{name}.jinja").render(spec=spec, own=own)
        for name in ("Dockerfile", "compose.yaml")
    }
    ignored = "".join(f"{pattern}\n" for pattern in _NOT_OURS)
    return {**http.files(spec, templates), **found, ".dockerignore": ignored}


def names_of(spec: ServingSpec) -> Mapping[str, str]:
    """The `name` of the service as images and clusters take names, and its `image`."""
    name = dns_name(spec.name)
    image = spec.container.get("image")
    return {"name": name, "image": str(image) if image else f"{name}:{spec.model[:12]}"}


TARGET = Target(
    name="docker",
    files=files,
    distributions=http.DISTRIBUTIONS,
    unused=http.UNUSED,
    start="docker/start.md.jinja",
    own=names_of,
)
