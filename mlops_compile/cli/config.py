"""`config`: the composed config, and what set each value."""

from __future__ import annotations

from argparse import ArgumentParser

import yaml

from mlops_compile.cli.front import Job, run_hydra
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call, Verb
from mlops_compile.compiler.compose.interpolations import sources_of
from mlops_compile.compiler.compose.origins import settings_of
from mlops_compile.ir.origin import Settings
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted, leaves, pretty, thaw


def arguments(parser: ArgumentParser) -> None:
    """The verb's own options."""
    parser.add_argument(
        "--origins", action="store_true", help="the place that set each value, and what it replaced"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(call: Call) -> int:
    """Print the config of each job."""
    text = _origins if call.options.origins else _config
    for job in run_hydra(call.rest, lambda job: job, inspect=True):
        print(text(job, call.options.json), end="", file=call.out)
    return 0


def _config(job: Job, json: bool) -> str:
    values = job.config.values
    if json:
        return pretty(Map({"format": 1, "config": values}))
    return yaml.safe_dump(thaw(values), sort_keys=True, allow_unicode=True)


def _origins(job: Job, json: bool) -> str:
    settings = settings_of(job.config.composition)
    found = list(leaves(job.config.values))
    if json:
        rows = tuple(_row(path, value, settings) for path, value in found)
        return pretty(Map({"format": 1, "origins": rows}))
    lines = table(
        [
            (dotted(path), canonical(value).decode("utf-8"), _place(path, settings))
            for path, value in found
        ],
        indent="",
    ).splitlines()
    notes = (_notes(path, settings) for path, _ in found)
    return "".join(f"{line}\n{''.join(note)}" for line, note in zip(lines, notes, strict=True))


def _place(path: KeyPath, settings: Settings) -> str:
    made = settings.get(path)
    return str(made[-1].value) if made else ""


def _notes(path: KeyPath, settings: Settings) -> list[str]:
    """Below a leaf: where an interpolated value comes from, and what the setting replaced."""
    made = settings.get(path, ())
    notes = [
        f"    from {dotted(name)}, {source.value}\n" for name, source in sources_of(path, settings)
    ]
    return notes + [f"    replaces {old.written} of {old.value}\n" for old in reversed(made[:-1])]


def _row(path: KeyPath, value: Value, settings: Settings) -> Map:
    made = settings.get(path, ())
    row: dict[str, Value] = {"key": dotted(path), "value": value, "origin": _place(path, settings)}
    if made and made[-1].choice:
        chosen = made[-1].chosen
        row["chosen"] = Map({"choice": made[-1].choice, "origin": str(chosen) if chosen else ""})
    if sources := sources_of(path, settings):
        row["from"] = tuple(
            Map({"key": dotted(name), "origin": str(source.value)}) for name, source in sources
        )
    if len(made) > 1:
        row["replaced"] = tuple(
            Map({"written": old.written, "origin": str(old.value)}) for old in reversed(made[:-1])
        )
    return Map(row)


VERB = Verb(
    name="config",
    summary="Print the composed config.",
    arguments=arguments,
    run=run,
    composes=True,
)
