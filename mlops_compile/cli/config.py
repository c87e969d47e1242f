"""`config`: the composed config, and what set each value."""

from __future__ import annotations

from argparse import ArgumentParser

import yaml

from mlops_compile.cli.front import Job, run_hydra
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call, Verb
from mlops_compile.compiler.compose.origins import origins
from mlops_compile.ir.value import Map, Value, canonical, dotted, leaves, pretty, thaw


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument(
        "--origins", action="store_true", help="the file and line, or override, of each value"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(call: Call) -> int:
    """Print the config of each job."""
    jobs = run_hydra(call.rest, lambda job: job, inspect=True)
    options = call.options
    if options.json and any(job.point for job in jobs):
        points = tuple(
            Map({"overrides": job.config.composition.overrides, **_answer(job, options.origins)})
            for job in jobs
        )
        print(pretty(Map({"format": 1, "points": points})), end="", file=call.out)
        return 0
    for job in jobs:
        if options.json:
            print(
                pretty(Map({"format": 1, **_answer(job, options.origins)})), end="", file=call.out
            )
        else:
            start = "---\n" if job.point and not options.origins else ""
            print(start + _text(job, options.origins), end="", file=call.out)
    return 0


def _text(job: Job, with_origins: bool) -> str:
    if not with_origins:
        return yaml.safe_dump(thaw(job.config.values), sort_keys=True, allow_unicode=True)
    return table(_rows(job), indent="") + "\n"


def _answer(job: Job, with_origins: bool) -> dict[str, Value]:
    if not with_origins:
        return {"config": job.config.values}
    rows = [
        Map({"key": key, "value": value, "origin": origin})
        for (key, _, origin), (_, value) in zip(_rows(job), leaves(job.config.values), strict=True)
    ]
    return {"origins": tuple(rows)}


def _rows(job: Job) -> list[tuple[str, str, str]]:
    places = origins(job.config.composition)
    return [
        (dotted(path), canonical(value).decode("utf-8"), str(places.get(path, "")))
        for path, value in leaves(job.config.values)
    ]


VERB = Verb(
    name="config",
    summary="Print the composed config.",
    arguments=arguments,
    run=run,
    composes=True,
)
