"""Deployment targets: what each declares. A file of conf/deploy/ names one, and the module of that
name in emit/targets/ is it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_compile.ir.resources import resource
from mlops_compile.ir.serving import ServingSpec
from mlops_compile.ir.value import Map
from mlops_compile.steps.registry import Pieces

if TYPE_CHECKING:
    import jinja2

_HERE = "mlops_compile.emit.targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployment target: what a bundle is made to be.

    `files(spec, templates)` are the texts that it adds to what every bundle holds, by path in the
    bundle. `distributions` are what its code needs when it runs, whatever the model; a family adds
    its own. Those of them that are `unused` others ask for, and nothing imports. `optional` are
    those that it can do without, of which it says what for. `start` is its template of the README's
    commands. `entry` is the program that it runs, and `serves` whether that answers over HTTP.
    `own(spec)` are values that its templates take as `own`, the README's among them.
    `differences(bundle, scratch, contract, requests, scores, labels)` are sentences about what it
    answers otherwise than the model, beyond what every bundle is proved by.
    """

    name: str
    files: Callable[[ServingSpec, jinja2.Environment], Mapping[str, str]]
    distributions: tuple[str, ...]
    unused: tuple[str, ...] = ()
    optional: tuple[tuple[str, str], ...] = ()
    start: str
    entry: str = "app.py"
    serves: bool = True
    differences: Callable[..., Iterator[str]] | None = None
    own: Callable[[ServingSpec], Mapping[str, str]] = lambda spec: {}


def target_names() -> tuple[str, ...]:
    """The targets that there are."""
    return tuple(sorted(file.stem for file in (resource("conf") / "deploy").glob("*.yaml")))


TARGETS: Pieces[Target] = Pieces(
    "deployment target", *((name, f"{_HERE}.{name}:TARGET") for name in target_names())
)


def target_of(params: Map) -> Target:
    """The target that a step's params name."""
    deploy = params.get("deploy", Map())
    name = deploy.get("target", "http") if isinstance(deploy, Map) else "http"
    return TARGETS[str(name)]
