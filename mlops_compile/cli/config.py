"""`config`: the composed config, and what set each value."""

from __future__ import annotations

import yaml

from mlops_compile.cli.front import Job, run_hydra
from mlops_compile.cli.show import table
from mlops_compile.cli.verb import Call
from mlops_compile.compiler.compose.interpolations import sources_of
from mlops_compile.compiler.compose.origins import settings_of
from mlops_compile.ir.origin import Setting, Settings
from mlops_compile.ir.value import KeyPath, Map, Value, canonical, dotted, leaves, pretty, thaw


def run(call: Call) -> int:
    """Print the config of each job."""
    jobs = run_hydra(call.rest, lambda job: job, inspect=True)
    with_origins = call.options.origins
    if not call.options.json:
        for job in jobs:
            start = "---\n" if job.point and not with_origins else ""
            print(start + (_origins(job) if with_origins else _yaml(job)), end="", file=call.out)
    elif any(job.point for job in jobs):
        points = tuple(
            Map({"overrides": job.config.composition.overrides, **_answer(job, with_origins)})
            for job in jobs
        )
        print(pretty(Map({"format": 1, "points": points})), end="", file=call.out)
    else:
        for job in jobs:
            answer = Map({"format": 1, **_answer(job, with_origins)})
            print(pretty(answer), end="", file=call.out)
    return 0


def _yaml(job: Job) -> str:
    return yaml.safe_dump(thaw(job.config.values), sort_keys=True, allow_unicode=True)


def _answer(job: Job, with_origins: bool) -> dict[str, Value]:
    if not with_origins:
        return {"config": job.config.values}
    settings = settings_of(job.config.composition)
    found = leaves(job.config.values)
    return {"origins": tuple(_row(path, value, settings) for path, value in found)}


def _origins(job: Job) -> str:
    settings = settings_of(job.config.composition)
    found = list(leaves(job.config.values))
    rows: list[tuple[str, str, str]] = []
    notes: list[list[str]] = []
    told: set[str] = set()
    for path, value in found:
        made = settings.get(path, ())
        if made and made[-1].choice and made[-1].choice not in told:
            told.add(made[-1].choice)
            rows.append(_choice(made[-1], path))
            notes.append([])
        rows.append((dotted(path), canonical(value).decode("utf-8"), _place(path, settings)))
        notes.append(_notes(path, settings))
    lines = table(rows, indent="").splitlines()
    return "".join(f"{line}\n{''.join(note)}" for line, note in zip(lines, notes, strict=True))


def _choice(made: Setting, path: KeyPath) -> tuple[str, str, str]:
    """The row of a choice, above the first key that it sets."""
    group, _, option = made.choice.rpartition("=")
    return group or dotted(path[:1]), f"={option}", str(made.chosen or "")


def _place(path: KeyPath, settings: Settings) -> str:
    made = settings.get(path)
    return str(made[-1].value) if made else ""


def _notes(path: KeyPath, settings: Settings) -> list[str]:
    """Below a leaf: where an interpolated value comes from, and what the setting replaced."""
    made = settings.get(path, ())
    notes = [
        f"    from {dotted(name)}, {source.value}\n" for name, source in sources_of(path, settings)
    ]
    notes += [f"    item {name} from {item.value}\n" for name, item in _items(path, settings)]
    return notes + [f"    replaces {old.written} of {old.value}\n" for old in reversed(made[:-1])]


def _items(path: KeyPath, settings: Settings) -> list[tuple[str, Setting]]:
    """The items of a list that were set by themselves, after the list."""
    own = settings.get(path, ())
    inner = [(key, made[-1]) for key, made in settings.items() if key[:-1] == path and key]
    return [
        (key[-1], made) for key, made in inner if own and made.value.source != own[-1].value.source
    ]


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
    if items := _items(path, settings):
        row["items"] = tuple(Map({"item": name, "origin": str(item.value)}) for name, item in items)
    if len(made) > 1:
        row["replaced"] = tuple(
            Map({"written": old.written, "origin": str(old.value)}) for old in reversed(made[:-1])
        )
    return Map(row)
