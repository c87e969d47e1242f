"""`http`: a service in Python, an ASGI application with the program that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_compile.emit.alerts import data_alerts, job_of, monitor_of, records, service_alerts
from mlops_compile.emit.dashboard import dashboard
from mlops_compile.emit.openapi import openapi
from mlops_compile.ir.resources import resource
from mlops_compile.ir.value import pretty
from mlops_compile.steps.targets import Target

if TYPE_CHECKING:
    import jinja2

    from mlops_compile.ir.serving import ServingSpec

# Uvicorn asks for h11, and takes httptools, which is written in C, where both are there.
DISTRIBUTIONS, UNUSED = ("click", "h11", "httptools", "msgspec", "uvicorn"), ("h11",)
# Its files without `.jinja` are the same in every bundle: they read in `bundle.json` what differs.
_MODULES, _NOT_ALIKE = "service", (".jinja", ".pyc")
# Of the others, those that are a service's alone.
_GENERATED = ("bins.py", "observed.py")


def files(spec: ServingSpec, templates: jinja2.Environment) -> Mapping[str, str]:
    """The modules and the page of the running service, and what it says of itself."""
    return {
        **modules(),
        **{
            name: templates.get_template(f"service/{name}.jinja").render(spec=spec)
            for name in _GENERATED
        },
        "openapi.json": pretty(openapi(spec)),
        "monitoring/alerts.yaml": templates.get_template("monitoring/alerts.yaml.jinja").render(
            rules_of(spec)
        ),
        "monitoring/dashboard.json": pretty(dashboard(spec)),
    }


def rules_of(spec: ServingSpec) -> dict[str, object]:
    """What the template of Prometheus' rules takes."""
    return {
        "job": job_of(spec),
        "records": records(spec),
        "service": service_alerts(spec),
        "data": data_alerts(spec),
        "window": monitor_of(spec).window,
    }


def modules() -> Mapping[str, str]:
    """The modules and the page of the running service, which are those of every service."""
    found = sorted((resource("templates") / _MODULES).glob("*.*"))
    return {file.name: file.read_text("utf-8") for file in found if file.suffix not in _NOT_ALIKE}


TARGET = Target(
    name="http",
    files=files,
    distributions=DISTRIBUTIONS,
    unused=UNUSED,
    start="service/start.md.jinja",
)
