"""`config`: the composed config, and what set each value."""

from __future__ import annotations

from argparse import ArgumentParser

import yaml

from mlops_compile.cli.front import Job, run_hydra
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call, Verb
from mlops_compile.compiler.compose.origins import origins
from mlops_compile.ir.value import Map, canonical, dotted, leaves, pretty, thaw


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument(
        "--origins", action="store_true", help="the file and line, or override, of each value"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(call: Call) -> int:
    """Print the config of each job."""
    for job in run_hydra(call.rest, lambda job: job, inspect=True):
        print(_text(job, call.options.origins, call.options.json), end="", file=call.out)
    return 0


def _text(job: Job, with_origins: bool, json: bool) -> str:
    values = job.config.values
    if not with_origins:
        if json:
            return pretty(Map({"format": 1, "config": values}))
        return yaml.safe_dump(thaw(values), sort_keys=True, allow_unicode=True)
    places = origins(job.config.composition)
    found = [
        (dotted(path), canonical(value).decode("utf-8"), str(places.get(path, "")))
        for path, value in leaves(values)
    ]
    if not json:
        return table(found, indent="") + "\n"
    rows = [
        Map({"key": key, "value": value, "origin": origin})
        for (key, _, origin), (_, value) in zip(found, leaves(values), strict=True)
    ]
    return pretty(Map({"format": 1, "origins": tuple(rows)}))


VERB = Verb(
    name="config",
    summary="Print the composed config.",
    arguments=arguments,
    run=run,
    composes=True,
)
